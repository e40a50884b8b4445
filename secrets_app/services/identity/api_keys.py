"""API keys: 256 random bits, shown once, kept as a digest.

A key that was made with another one, its parent, ends with it, unless whoever revokes says otherwise.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from secrets_app.errors import InvalidInput, NotFound, Unauthenticated
from secrets_app.models import ApiKey, Principal
from secrets_app.services.access.refusals import refuse_as_unknown
from secrets_app.services.audit import SUCCESS, Event, Resource, record, record_all
from secrets_app.services.caller import Actor
from secrets_app.services.identity.identity_ends import end_identities, made_with

USER_KEY_PREFIX = "1ck_"
AGENT_KEY_PREFIX = "ocv_"
_KEY_BYTES = 32
_USE_NOTED_EVERY = timedelta(minutes=10)
_SHOWN_CHARS = 12


def digest_api_key(raw: str) -> str:
    """What is stored of a key and what it is found by: SHA-256, in hex."""
    return hashlib.sha256(raw.encode()).hexdigest()


def create_api_key(
    *,
    principal: Principal,
    name: str,
    actor: Actor,
    expires_at: datetime | None = None,
    parent_id: UUID | None = None,
) -> tuple[ApiKey, str]:
    """Make a key and return it with its text, which cannot be had again.

    `parent_id`: the key that the caller signed in with, None after a password and for operators. The new
    one lasts no longer. Raises InvalidInput, Unauthenticated when the parent was revoked meanwhile.
    """
    if not 0 < len(name) <= 255:
        raise InvalidInput({"name": ["A name has 1 to 255 characters."]})
    is_agent = principal.kind == Principal.Kind.AGENT
    raw = (AGENT_KEY_PREFIX if is_agent else USER_KEY_PREFIX) + secrets.token_urlsafe(_KEY_BYTES)
    with transaction.atomic():
        end = lock_parent(parent_id)
        if end is not None and expires_at is not None and expires_at > end:
            message = "A key ends no later than the one it is made with."
            raise InvalidInput({"expires_at": [message]})
        key = ApiKey.objects.create(
            principal=principal,
            parent_id=parent_id,
            name=name,
            prefix=raw[:_SHOWN_CHARS],
            digest=digest_api_key(raw),
            expires_at=expires_at or end,
        )
        record("key.create", SUCCESS, actor=actor, resource=Resource("api_key", key.id))
    return key, raw


def lock_parent(parent_id: UUID | None) -> datetime | None:
    """When the key ends that others are about to be made with. Until the transaction ends it cannot be
    revoked, so that whoever revokes it finds them all.

    Raises Unauthenticated when it was revoked already.
    """
    if parent_id is None:
        return None
    keys = ApiKey.objects.select_for_update().filter(pk=parent_id, revoked_at__isnull=True)
    parent = keys.only("expires_at").first()
    if parent is None:
        raise Unauthenticated("revoked_key")
    return parent.expires_at


def list_api_keys(*, principal_id: UUID) -> QuerySet[ApiKey]:
    """A principal's keys that are not revoked, oldest first."""
    return ApiKey.objects.filter(principal_id=principal_id, revoked_at__isnull=True).order_by(
        "created_at", "id"
    )


def revoke_api_key(
    *, key_id: UUID, principal_id: UUID | None, actor: Actor, keep_children: bool = False
) -> int:
    """End a key and the tokens made with it, from the next request on; so too, unless `keep_children`,
    every key made with it, those of agents included, and with those, and so on, and every identity of an
    agent that was made with any of them. Each leaves an event.

    Returns how many other keys were ended. `principal_id` None is for operators: anybody's key. Raises
    NotFound; for somebody else's with an event.
    """
    keys = ApiKey.objects.filter(pk=key_id)
    if principal_id is not None:
        keys = keys.filter(principal_id=principal_id)
    resource, detail = Resource("api_key", key_id), "There is no such key."
    with transaction.atomic():
        found = keys.filter(revoked_at__isnull=True).update(revoked_at=timezone.now())
        others = _revoke_descendants(key_id) if found and not keep_children else []
        if found:
            because = {"made_with": str(key_id)}
            events = [Event("key.revoke", SUCCESS, resource)]
            events += [
                Event("key.revoke", SUCCESS, Resource("api_key", each), because) for each in others
            ]
            if not keep_children:
                ended = end_identities(made_with([key_id, *others]), now=timezone.now())
                events += [
                    Event(
                        "agent_identity.delete",
                        SUCCESS,
                        Resource("agent_identity", each.pk),
                        because | {"agent_id": str(each.agent_id)},
                    )
                    for each in ended
                ]
            record_all(events, actor=actor)
    if found:
        return len(others)
    if principal_id is None or keys.exists():
        raise NotFound(detail)
    return refuse_as_unknown("key.revoke", actor=actor, resource=resource, detail=detail)


def _revoke_descendants(key_id: UUID) -> list[UUID]:
    """The keys that were not revoked already, after revoking them.

    Generation by generation: the keys of one are locked before the next is looked for, so that one that
    is just being made is found, too. A key that was revoked before may have kept its children.
    """
    revoked: list[UUID] = []
    seen, generation = {key_id}, [key_id]
    while generation:
        children = ApiKey.objects.select_for_update().filter(parent__in=generation).order_by("pk")
        found = [key for key in children.only("revoked_at") if key.pk not in seen]
        generation = [key.pk for key in found]
        seen.update(generation)
        living = [key.pk for key in found if key.revoked_at is None]
        ApiKey.objects.filter(pk__in=living).update(revoked_at=timezone.now())
        revoked += living
    return revoked


def note_use(*, key_id: UUID, last_used_at: datetime | None) -> None:
    """Remember that a key was used, writing at most once in ten minutes."""
    now = timezone.now()
    if last_used_at is None or last_used_at <= now - _USE_NOTED_EVERY:
        ApiKey.objects.filter(pk=key_id).update(last_used_at=now)

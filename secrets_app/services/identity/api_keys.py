"""API keys: 256 random bits, shown once, kept as a digest."""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from secrets_app.errors import InvalidInput, NotFound
from secrets_app.models import ApiKey, Principal
from secrets_app.services.access.refusals import refuse_as_unknown
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Actor

USER_KEY_PREFIX = "1ck_"
AGENT_KEY_PREFIX = "ocv_"
_KEY_BYTES = 32
_USE_NOTED_EVERY = timedelta(minutes=10)
_SHOWN_CHARS = 12


def digest_api_key(raw: str) -> str:
    """What is stored of a key and what it is found by: SHA-256, in hex."""
    return hashlib.sha256(raw.encode()).hexdigest()


def create_api_key(
    *, principal: Principal, name: str, actor: Actor, expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """Make a key and return it with its text, which cannot be had again. Raises InvalidInput."""
    if not 0 < len(name) <= 255:
        raise InvalidInput({"name": ["A name has 1 to 255 characters."]})
    is_agent = principal.kind == Principal.Kind.AGENT
    raw = (AGENT_KEY_PREFIX if is_agent else USER_KEY_PREFIX) + secrets.token_urlsafe(_KEY_BYTES)
    with transaction.atomic():
        key = ApiKey.objects.create(
            principal=principal,
            name=name,
            prefix=raw[:_SHOWN_CHARS],
            digest=digest_api_key(raw),
            expires_at=expires_at,
        )
        record("key.create", SUCCESS, actor=actor, resource=Resource("api_key", key.id))
    return key, raw


def list_api_keys(*, principal_id: UUID) -> QuerySet[ApiKey]:
    """A principal's keys that are not revoked, oldest first."""
    return ApiKey.objects.filter(principal_id=principal_id, revoked_at__isnull=True).order_by(
        "created_at", "id"
    )


def revoke_api_key(*, key_id: UUID, principal_id: UUID | None, actor: Actor) -> None:
    """End a key and the tokens made with it, from the next request on.

    `principal_id` None is for operators: anybody's key. Raises NotFound; for somebody else's with an event.
    """
    keys = ApiKey.objects.filter(pk=key_id)
    if principal_id is not None:
        keys = keys.filter(principal_id=principal_id)
    resource, detail = Resource("api_key", key_id), "There is no such key."
    with transaction.atomic():
        if keys.filter(revoked_at__isnull=True).update(revoked_at=timezone.now()):
            record("key.revoke", SUCCESS, actor=actor, resource=resource)
            return
    if principal_id is None or keys.exists():
        raise NotFound(detail)
    refuse_as_unknown("key.revoke", actor=actor, resource=resource, detail=detail)


def note_use(*, key_id: UUID, last_used_at: datetime | None) -> None:
    """Remember that a key was used, writing at most once in ten minutes."""
    now = timezone.now()
    if last_used_at is None or last_used_at <= now - _USE_NOTED_EVERY:
        ApiKey.objects.filter(pk=key_id).update(last_used_at=now)

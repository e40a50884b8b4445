"""Rotate root keys: rewrap every KEK and the audit key under the active root key. Values do not change.

This also moves a service from one provider to another. A stopped run is finished by the next one:
whatever another root key still wraps is left to do.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from secrets_app import keys
from secrets_app.errors import OpenError
from secrets_app.keys import keyring
from secrets_app.models import AuditKey, VaultKey
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Actor


@dataclass(slots=True)
class Rewrapped:
    """How many keys were rewrapped. `failed`: ids of those that do not open and were left alone."""

    active_root_key_id: str
    rewrapped: int = 0
    failed: list[str] = field(default_factory=list)


def count_rewrappable(*, every: bool) -> dict[str, int]:
    """Count the keys that `rotate_root` would rewrap, by the root key that wraps them now."""
    counts: dict[str, int] = {}
    for rows in (_vault_keys(every), _audit_keys(every)):
        for root_key_id in rows.values_list("root_key_id", flat=True).iterator():
            counts[root_key_id] = counts.get(root_key_id, 0) + 1
    return counts


def rotate_root(*, every: bool, actor: Actor, on_progress: Callable[[int], None]) -> Rewrapped:
    """Rewrap each KEK and the audit log's key under the active root key.

    With `every`, keys that it wraps already are rewrapped too. Each key has a transaction of its own,
    after the new wrapping was opened once as a proof. Raises ProviderError, and UnknownRootKey for a key
    whose root key is not configured; another run goes on.
    """
    done = Rewrapped(keyring().active_root_key_id)
    for audit_key in _audit_keys(every):
        resource = Resource("audit_key")
        row: QuerySet[Any] = AuditKey.objects.filter(pk=audit_key.pk)
        _rewrap(audit_key, row, {"number": audit_key.number}, resource, done, actor)
        on_progress(1)
    after = UUID(int=0)
    while batch := list(_vault_keys(every).filter(pk__gt=after).order_by("pk")[:200]):
        for key in batch:
            resource = Resource("vault_key", key.pk, key.vault_id)
            row = VaultKey.objects.filter(pk=key.pk)
            _rewrap(key, row, {"version": key.version}, resource, done, actor)
            on_progress(1)
        after = batch[-1].pk
    return done


def _rewrap(
    key: VaultKey | AuditKey,
    row: QuerySet[Any],
    details: dict[str, Any],
    resource: Resource,
    done: Rewrapped,
    actor: Actor,
) -> None:
    try:
        wrapped = keyring().rewrap(key.wrapped_key())
    except OpenError:
        done.failed.append(str(key.pk))
        return
    with transaction.atomic():
        # The row may have been destroyed or rewrapped meanwhile: it is changed only as it was read.
        same = row.filter(root_key_id=key.root_key_id, wrapped=key.wrapped)
        if same.update(root_key_id=wrapped.root_key_id, wrapped=wrapped.blob):
            details |= {"from": key.root_key_id, "to": wrapped.root_key_id}
            record("key.rewrap", SUCCESS, actor=actor, resource=resource, details=details)
            done.rewrapped += 1


def create_root_key(*, url: str, actor: Actor) -> str:
    """Make a root key in a file or a token and record the event. Returns the key's id.

    Raises ConfigurationError, ProviderError.
    """
    with transaction.atomic():
        record(
            "key.create_root",
            SUCCESS,
            actor=actor,
            resource=Resource("root_key"),
            details={"kind": url.partition(":")[0]},
        )
        return keys.create_root_key(url)


def _vault_keys(every: bool) -> QuerySet[VaultKey]:
    living = VaultKey.objects.exclude(state=VaultKey.State.DESTROYED)
    return living if every else living.exclude(root_key_id=keyring().active_root_key_id)


def _audit_keys(every: bool) -> QuerySet[AuditKey]:
    keys = AuditKey.objects.order_by("number")
    return keys if every else keys.exclude(root_key_id=keyring().active_root_key_id)

"""Rotating root keys: every KEK is wrapped anew under the active one. Values are not touched.

This is also how one moves from one provider to another. Resumable: what is still wrapped by another
root key is what is left to do.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from secrets_app import keys
from secrets_app.errors import OpenError
from secrets_app.keys import keyring
from secrets_app.models import VaultKey
from secrets_app.services.audit import SUCCESS, Actor, Resource, record


@dataclass(slots=True)
class Rewrapped:
    """How many KEKs were wrapped anew. `failed`: ids of those that do not open, left as they were."""

    active_root_key_id: str
    rewrapped: int = 0
    failed: list[UUID] = field(default_factory=list)


def count_rewrappable(*, every: bool) -> dict[str, int]:
    """How many KEKs `rotate_root` would wrap anew, by the root key they are wrapped by now."""
    counts: dict[str, int] = {}
    for root_key_id in _due(every).values_list("root_key_id", flat=True).iterator():
        counts[root_key_id] = counts.get(root_key_id, 0) + 1
    return counts


def rotate_root(*, every: bool, actor: Actor, on_progress: Callable[[int], None]) -> Rewrapped:
    """Wrap each KEK under the active root key; with `every` also those that are already.

    Each in a transaction of its own, after the new wrapping was opened once as a proof. Raises
    UnknownRootKey for a KEK whose root key is not configured, ProviderError; another run goes on.
    """
    ring = keyring()
    done = Rewrapped(ring.active_root_key_id)
    after = UUID(int=0)
    while batch := list(_due(every).filter(pk__gt=after).order_by("pk")[:200]):
        for key in batch:
            try:
                wrapped = ring.rewrap_kek(key.wrapped_kek())
            except OpenError:
                done.failed.append(key.pk)
                continue
            with transaction.atomic():
                # Only what was read is replaced: it may have been destroyed or rewrapped meanwhile.
                replaced = VaultKey.objects.filter(
                    pk=key.pk, root_key_id=key.root_key_id, wrapped=key.wrapped
                ).update(root_key_id=wrapped.root_key_id, wrapped=wrapped.blob)
                if replaced:
                    record(
                        "key.rewrap",
                        SUCCESS,
                        actor=actor,
                        resource=Resource("vault_key", key.pk, key.vault_id),
                        details={
                            "version": key.version,
                            "from": key.root_key_id,
                            "to": wrapped.root_key_id,
                        },
                    )
            done.rewrapped += replaced
            on_progress(1)
        after = batch[-1].pk
    return done


def create_root_key(*, url: str, actor: Actor) -> str:
    """Make a root key in a file or a token, with an event; returns its id.

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


def _due(every: bool) -> QuerySet[VaultKey]:
    living = VaultKey.objects.exclude(state=VaultKey.State.DESTROYED)
    return living if every else living.exclude(root_key_id=keyring().active_root_key_id)

"""List the keys that exist, how old they are, and what depends on them."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import transaction

from secrets_app.keys import keyring
from secrets_app.models import AuditKey, VaultKey
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Actor
from secrets_app.services.keys.health import providers
from secrets_app.services.keys.kek_rotation import count_values_by_key


@dataclass(slots=True)
class RootKey:
    """A root key and what it wraps.

    `role`: active, unwraps, or missing (it wraps KEKs, but is not configured). `error`: why its provider
    does not work now. `keks`: how many KEKs it wraps, without destroyed ones. `audit_keys`: how many
    keys of the audit log it wraps.
    """

    id: str
    role: str
    error: str | None = None
    keks: int = 0
    audit_keys: int = 0


@dataclass(frozen=True, slots=True)
class KekRow:
    """A KEK. `values`: how many versions are sealed under it."""

    id: UUID
    vault_id: UUID
    vault_name: str
    version: int
    state: str
    created_at: datetime
    root_key_id: str
    values: int


@dataclass(slots=True)
class Inventory:
    """All root keys and KEKs."""

    root_keys: list[RootKey]
    keks: list[KekRow] = field(default_factory=list)

    @property
    def on_old_root_keys(self) -> int:
        """Count the keys that `rotate_root` would rewrap."""
        return sum(key.keks + key.audit_keys for key in self.root_keys if key.role != "active")

    @property
    def values_on_retired_keks(self) -> int:
        """Count the values that `rotate_kek` would rewrap."""
        return sum(kek.values for kek in self.keks if kek.state == VaultKey.State.RETIRED)


def take_inventory(*, vault_id: UUID | None = None) -> Inventory:
    """List all keys except destroyed ones, of one vault or all, and ask every provider for its health.

    Raises ConfigurationError.
    """
    ring = keyring()
    errors = {
        key_id: health.error.detail
        for health in providers()
        if health.error is not None
        for key_id in health.key_ids
    }
    roots = {
        key_id: RootKey(
            key_id, "active" if key_id == ring.active_root_key_id else "unwraps", errors.get(key_id)
        )
        for key_id in ring.root_key_ids
    }
    inventory = Inventory([])
    values = count_values_by_key(vault_id=vault_id)
    keys = VaultKey.objects.exclude(state=VaultKey.State.DESTROYED).select_related("vault")
    if vault_id is not None:
        keys = keys.filter(vault_id=vault_id)
    for key in keys.order_by("vault__name", "vault_id", "version").iterator():
        root = roots.setdefault(key.root_key_id, RootKey(key.root_key_id, "missing"))
        root.keks += 1
        inventory.keks.append(
            KekRow(
                key.pk,
                key.vault_id,
                key.vault.name,
                key.version,
                key.state,
                key.created_at,
                key.root_key_id,
                values.get(key.pk, 0),
            )
        )
    for root_key_id in AuditKey.objects.values_list("root_key_id", flat=True):
        roots.setdefault(root_key_id, RootKey(root_key_id, "missing")).audit_keys += 1
    inventory.root_keys = list(roots.values())
    return inventory


def note_inventory(*, vault_id: UUID | None, actor: Actor) -> None:
    """Record the event of an inventory. Raises CryptoError when the event's key is not available.

    This is a step of its own: an inventory is needed most when the root keys that events depend on are
    gone.
    """
    with transaction.atomic():
        resource = Resource("vault" if vault_id else "key", vault_id, vault_id)
        record("key.list", SUCCESS, actor=actor, resource=resource)

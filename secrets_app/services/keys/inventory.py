"""What keys there are, how old, and what depends on them."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import transaction

from secrets_app.keys import keyring
from secrets_app.models import AuditKey, VaultKey
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Actor
from secrets_app.services.keys.health import providers
from secrets_app.services.keys.kek_rotation import values_by_key


@dataclass(slots=True)
class RootKey:
    """`role`: active, unwraps, or missing (KEKs are wrapped by it, and it is not configured).

    `error`: why its provider cannot be used now. `keks`: wrapped by it, destroyed ones left out.
    `audit_keys`: of the audit log, wrapped by it.
    """

    id: str
    role: str
    error: str | None = None
    keks: int = 0
    audit_keys: int = 0


@dataclass(frozen=True, slots=True)
class KekRow:
    """One KEK. `values`: how many versions are sealed under it."""

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
    root_keys: list[RootKey]
    keks: list[KekRow] = field(default_factory=list)

    @property
    def on_old_root_keys(self) -> int:
        """Keys that `rotate_root` would move."""
        return sum(key.keks + key.audit_keys for key in self.root_keys if key.role != "active")

    @property
    def values_on_retired_keks(self) -> int:
        """Values that `rotate_kek` would move."""
        return sum(kek.values for kek in self.keks if kek.state == VaultKey.State.RETIRED)


def take_inventory(*, vault_id: UUID | None = None) -> Inventory:
    """All keys but destroyed ones, of one vault or all; asks every provider how it is.

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
    values = values_by_key(vault_id=vault_id)
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
    """Leave the event of somebody having looked. Apart, since the inventory is most needed when the
    root keys are not there, without which no event can be written. Raises CryptoError then."""
    with transaction.atomic():
        resource = Resource("vault" if vault_id else "key", vault_id, vault_id)
        record("key.list", SUCCESS, actor=actor, resource=resource)

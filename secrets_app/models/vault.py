"""Store vaults and their key-encryption keys (KEKs)."""

from uuid import uuid4

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from secrets_app.crypto.context import WrappedKek
from secrets_app.models.principal import Principal


class Vault(models.Model):
    """A vault. `name_key` is a digest of the name without case, by which an owner's names are unique."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    owner = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="vaults")
    name = models.CharField(max_length=255)
    name_key = models.CharField(max_length=64, editable=False)
    description = models.TextField(blank=True)
    created_by = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, blank=True)
    destroyed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        permissions = [("rotate_vault", "Can rotate the key of a vault")]
        constraints = [
            models.UniqueConstraint(
                name="vault_name_unique_per_owner",
                fields=["owner", "name_key"],
                condition=Q(deleted_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return self.name


class VaultKey(models.Model):
    """A version of a vault's KEK, wrapped by the root key `root_key_id`."""

    class State(models.TextChoices):
        ACTIVE = "active"
        RETIRED = "retired"
        DESTROYED = "destroyed"

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    vault = models.ForeignKey(Vault, on_delete=models.PROTECT, related_name="keys")
    version = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.ACTIVE)
    root_key_id = models.CharField(max_length=512)
    wrapped = models.BinaryField(editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="vaultkey_version_unique", fields=["vault", "version"]),
            models.UniqueConstraint(
                name="vaultkey_one_active_per_vault",
                fields=["vault"],
                condition=Q(state="active"),
            ),
        ]
        indexes = [models.Index(name="vaultkey_root_key", fields=["root_key_id"])]

    def __str__(self) -> str:
        return f"{self.vault_id} v{self.version} ({self.state})"

    def wrapped_key(self) -> WrappedKek:
        """Return the key in the form that the keyring takes."""
        return WrappedKek(self.vault_id, self.version, self.root_key_id, bytes(self.wrapped))


def is_consistent() -> Q:
    """Return the condition of a vault in use whose marks fit its keys.

    It is not destroyed and has an active key. For a filter or an annotation of vaults.
    """
    sealing = VaultKey.objects.filter(vault=OuterRef("pk"), state=VaultKey.State.ACTIVE)
    return Q(destroyed_at__isnull=True) & Q(Exists(sealing))


def is_destroyed() -> Q:
    """Return the condition of a vault that a purge destroyed: it was deleted, and no key is left.

    The mark alone is not enough, since somebody may have put it there.
    """
    left = VaultKey.objects.filter(vault=OuterRef("pk")).exclude(
        state=VaultKey.State.DESTROYED, wrapped=b""
    )
    return Q(destroyed_at__isnull=False, deleted_at__isnull=False) & ~Q(Exists(left))

"""Store secrets and their versions."""

from typing import Any
from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.utils import timezone

from secrets_app.crypto.context import EncryptionContext
from secrets_app.fields import EncryptedField
from secrets_app.models.ids import uuid7
from secrets_app.models.json_text import JSONTextField
from secrets_app.models.principal import Principal
from secrets_app.models.vault import Vault, VaultKey
from secrets_app.policy.path import MAX_PATH_CHARS


class PathField(models.CharField):  # type: ignore[type-arg]
    """A secret's path, compared and sorted by its bytes on every database."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_length"] = MAX_PATH_CHARS
        super().__init__(*args, **kwargs)

    def db_parameters(self, connection: Any) -> Any:
        parameters: dict[str, Any] = dict(super().db_parameters(connection))
        # SQLite always compares bytes. Without this, PostgreSQL sorts by the database's language.
        parameters["collation"] = "C" if connection.vendor == "postgresql" else None
        return parameters


class Secret(models.Model):
    """A path in a vault. Its id survives new versions, deletion and revival."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    vault = models.ForeignKey(
        Vault, on_delete=models.PROTECT, related_name="secrets", db_index=False
    )
    path = PathField()
    current_version = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="secret_path_unique", fields=["vault", "path"]),
        ]
        indexes = [
            models.Index(
                name="secret_living",
                fields=["vault", "path"],
                condition=Q(deleted_at__isnull=True),
            ),
            models.Index(
                name="secret_deleted",
                fields=["deleted_at"],
                condition=Q(deleted_at__isnull=False),
            ),
            models.Index(
                name="secret_created",
                fields=["created_at"],
                condition=Q(deleted_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return str(self.path)


class SecretVersion(models.Model):
    """A written value. Type, metadata, expiry and access count belong to the version, not to the path."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    vault = models.ForeignKey(Vault, on_delete=models.PROTECT, related_name="+", db_index=False)
    secret = models.ForeignKey(
        Secret, on_delete=models.PROTECT, related_name="versions", db_index=False
    )
    number = models.PositiveIntegerField()
    type = models.CharField(max_length=64)
    # Null once the version is destroyed.
    value = EncryptedField(null=True)
    vault_key = models.ForeignKey(VaultKey, on_delete=models.PROTECT, related_name="versions")
    metadata = JSONTextField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    rotation_policy = JSONTextField(null=True, blank=True)
    max_access_count = models.PositiveIntegerField(null=True, blank=True)
    access_count = models.PositiveIntegerField(default=0)
    created_by = models.ForeignKey(
        Principal, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(default=timezone.now)
    disabled_at = models.DateTimeField(null=True, blank=True)
    destroyed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        permissions = [("disable_secretversion", "Can disable a secret version")]
        indexes = [
            models.Index(
                name="secretversion_expiry",
                fields=["expires_at"],
                condition=Q(expires_at__isnull=False),
            )
        ]
        constraints = [
            models.UniqueConstraint(
                name="secretversion_number_unique", fields=["vault", "secret", "number"]
            ),
            models.CheckConstraint(
                name="secretversion_value_until_destroyed",
                condition=Q(destroyed_at__isnull=True, value__isnull=False)
                | Q(destroyed_at__isnull=False, value__isnull=True),
            ),
            models.CheckConstraint(
                name="secretversion_access_within_bound",
                condition=Q(max_access_count__isnull=True)
                | Q(access_count__lte=models.F("max_access_count")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.secret_id} v{self.number}"

    def encryption_context(self) -> EncryptionContext:
        """Return what the value is bound to. `secret` and `vault_key` must be loaded already."""
        return EncryptionContext(
            vault_id=self.vault_id,
            secret_id=self.secret_id,
            path=self.secret.path,
            version=self.number,
            type=self.type,
            kek=self.vault_key.wrapped_key(),
        )


def versions_with_rows(vault_id: Any) -> models.QuerySet[SecretVersion]:
    """Return the versions of a vault, with the rows that are needed to open and show them."""
    return SecretVersion.objects.select_related(
        "secret__settings", "vault_key", "created_by"
    ).filter(vault_id=vault_id, secret__vault_id=vault_id)


def id_at(vault_id: Any, path: Any) -> models.Subquery:
    """Return the id of the secret at a path, as a subquery for finding its versions.

    With a join instead, SQLite would begin with all versions of the vault.
    """
    return models.Subquery(Secret.objects.filter(vault_id=vault_id, path=path).values("pk")[:1])

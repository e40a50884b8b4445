"""Writing a secret: every write is a new version."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from secrets_app.crypto.plaintext import Plaintext
from secrets_app.errors import SecretsAppError
from secrets_app.models import Secret, SecretVersion
from secrets_app.services.access import Caller
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.lookup import record_failure
from secrets_app.services.rotation import active_vault_key


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """What a version is made of, validated. Fields that are None are unset."""

    type: str
    value: Plaintext
    metadata: dict[str, Any] | None = None
    expires_at: datetime | None = None
    rotation_policy: dict[str, Any] | None = None
    max_access_count: int | None = None


def write_secret(*, caller: Caller, vault_id: UUID, path: str, new: NewVersion) -> SecretVersion:
    """Store the next version at a path, reviving a deleted one; the caller is authorised already.

    Version numbers of a path are gapless: the secret's row is locked while the next one is taken.
    Raises OpenError, ProviderError; nothing is stored then.
    """
    try:
        return _store(caller, vault_id, path, new)
    except SecretsAppError as error:
        record_failure("secret.write", caller=caller, vault_id=vault_id, path=path, error=error)
        raise


def _store(caller: Caller, vault_id: UUID, path: str, new: NewVersion) -> SecretVersion:
    vault_key = active_vault_key(vault_id=vault_id)
    with transaction.atomic():
        secret = _lock_secret(vault_id, path)
        version = SecretVersion(
            vault_id=vault_id,
            secret=secret,
            number=secret.current_version + 1,
            vault_key=vault_key,
            created_by_id=caller.id,
            type=new.type,
            value=new.value,
            metadata=new.metadata,
            expires_at=new.expires_at,
            rotation_policy=new.rotation_policy,
            max_access_count=new.max_access_count,
        )
        version.save(force_insert=True)
        secret.current_version = version.number
        secret.deleted_at = None
        secret.save(update_fields=["current_version", "deleted_at"])
        record(
            "secret.write",
            SUCCESS,
            actor=caller.actor,
            resource=Resource("secret", secret.id, vault_id),
            details={"path": path, "version": version.number, "type": version.type},
        )
    return version


def _lock_secret(vault_id: UUID, path: str) -> Secret:
    """The path's row, locked until the transaction ends; made when there is none yet."""
    locked = Secret.objects.select_for_update().filter(vault_id=vault_id, path=path)
    secret = locked.first()
    if secret is None:
        # Another writer may be making it right now: then this waits for it and adds nothing.
        Secret.objects.bulk_create([Secret(vault_id=vault_id, path=path)], ignore_conflicts=True)
        secret = locked.get()
    return secret

"""Importing secrets with their past: every version under its number, with its time and its marks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from secrets_app.crypto.plaintext import Plaintext
from secrets_app.errors import Conflict
from secrets_app.models import Principal, Secret, SecretSettings, SecretVersion, Vault, VaultKey
from secrets_app.models.ids import uuid7
from secrets_app.services.audit import OPERATOR, SUCCESS, Event, Resource, record_all
from secrets_app.services.sealing.vault_keys import active_vault_key
from secrets_app.services.secrets.importing import authorize_import
from secrets_app.services.secrets.secret_settings import Settings, check_settings
from secrets_app.services.transactions.retry import retried
from secrets_app.sql.change_with_rows import insert_rows

HISTORY_TYPE = "env_bundle"


@dataclass(frozen=True, slots=True)
class OldVersion:
    """`value` None: there is none to be had, and the version counts as destroyed. `ends_at`: when it was
    deleted, or will be."""

    number: int
    created_at: datetime
    ends_at: datetime | None = None
    value: Plaintext | None = None


@dataclass(frozen=True, slots=True)
class OldSecret:
    """`versions` are some of those up to `current_version`; the others are gone."""

    path: str
    created_at: datetime
    current_version: int
    settings: Settings
    versions: tuple[OldVersion, ...] = field(repr=False)


@retried
def import_histories(
    *, vault: Vault, principal: Principal, secrets: Sequence[OldSecret], skip_existing: bool
) -> list[str]:
    """Store secrets with all their versions in the name of `principal`, in one transaction: a few hundred,
    so that nobody waits long. Returns the paths that were stored.

    Numbers have no gaps afterwards: where a version is not there any more, its place is taken by one that
    is destroyed. Raises Forbidden, InvalidInput, Conflict where there is something at a path, unless
    `skip_existing`, OpenError, ProviderError; nothing is stored then.
    """
    authorize_import(principal, vault, [secret.path for secret in secrets])
    for each in secrets:
        check_settings(each.settings)
    key = active_vault_key(vault_id=vault.pk)
    with transaction.atomic():
        paths = [secret.path for secret in secrets]
        there = Secret.objects.filter(vault_id=vault.pk, path__any_of=paths)
        taken = set(there.values_list("path", flat=True))
        if taken and not skip_existing:
            raise Conflict(f"{len(taken)} of the paths have a secret by now.")
        new = [each for each in secrets if each.path not in taken and not _is_empty(each)]
        rows = {each.path: _row(vault.pk, each) for each in new}
        if rows:
            Secret.objects.bulk_create(rows.values())
        set_ones = [_settings(rows[s.path], s) for s in new if s.settings != Settings()]
        SecretSettings.objects.bulk_create(set_ones)
        versions = [
            version
            for secret in new
            for version in _versions(rows[secret.path], secret, key, principal.pk)
        ]
        if versions:
            insert_rows(versions)
        record_all((_event(version, principal) for version in versions), actor=OPERATOR)
    return [secret.path for secret in new]


def _is_empty(secret: OldSecret) -> bool:
    return secret.current_version == 0 and secret.settings == Settings()


def _row(vault_id: UUID, secret: OldSecret) -> Secret:
    return Secret(
        vault_id=vault_id,
        path=secret.path,
        current_version=secret.current_version,
        created_at=secret.created_at,
    )


def _settings(row: Secret, secret: OldSecret) -> SecretSettings:
    told = secret.settings
    return SecretSettings(
        secret=row,
        vault_id=row.vault_id,
        max_versions=told.max_versions,
        cas_required=told.cas_required,
        delete_version_after=told.delete_version_after,
        custom_metadata=None if told.custom_metadata is None else dict(told.custom_metadata),
    )


def _versions(
    row: Secret, secret: OldSecret, key: VaultKey, principal_id: UUID
) -> list[SecretVersion]:
    known = {version.number: version for version in secret.versions}
    now = timezone.now()
    made = []
    for number in range(1, secret.current_version + 1):
        old = known.get(number) or OldVersion(number, secret.created_at)
        is_over = old.ends_at is not None and old.ends_at <= now
        made.append(
            SecretVersion(
                id=uuid7(old.created_at),
                vault_id=row.vault_id,
                secret=row,
                number=number,
                vault_key=key,
                created_by_id=principal_id,
                type=HISTORY_TYPE,
                value=old.value,
                created_at=old.created_at,
                disabled_at=old.ends_at if is_over else None,
                expires_at=None if is_over else old.ends_at,
                destroyed_at=now if old.value is None else None,
            )
        )
    return made


def _event(version: SecretVersion, principal: Principal) -> Event:
    details = {
        "path": version.secret.path,
        "for": str(principal.pk),
        "version": version.number,
        "type": version.type,
        "imported": True,
    }
    resource = Resource("secret", version.secret_id, version.vault_id)
    return Event("secret.write", SUCCESS, resource, details)

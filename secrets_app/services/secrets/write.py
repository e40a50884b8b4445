"""Write a secret: every write makes a new version."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, IntegerField, QuerySet, UUIDField
from django.utils import timezone

from secrets_app.conf import app_settings
from secrets_app.crypto.plaintext import Plaintext
from secrets_app.errors import Conflict
from secrets_app.models import AuditEvent, Secret, SecretVersion, VaultKey
from secrets_app.models.request_state import Fetch
from secrets_app.models.secret_settings import expiry_of_new_version, kept_versions
from secrets_app.services.audit import SUCCESS, Event, Resource, record_all, record_with
from secrets_app.services.caller import Caller
from secrets_app.services.sealing.vault_keys import active_vault_key, prepare_vault_key
from secrets_app.services.secrets import preconditions
from secrets_app.services.secrets.preconditions import Precondition
from secrets_app.services.transactions.audited import audited, audited_transaction
from secrets_app.services.transactions.group_commit import commit_statement
from secrets_app.services.transactions.idempotency import IdempotencyClaim
from secrets_app.services.transactions.retry import retried
from secrets_app.sql.change_with_rows import change_statement, conditional_update, insert_statement
from secrets_app.sql.compiled import Slot

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """The validated content of a new version. Fields that are None are unset."""

    type: str
    value: Plaintext
    metadata: dict[str, Any] | None = None
    expires_at: datetime | None = None
    rotation_policy: dict[str, Any] | None = None
    max_access_count: int | None = None


@retried
def write_secret(
    *,
    caller: Caller,
    vault_id: UUID,
    path: str,
    new: NewVersion,
    expect: Precondition = preconditions.NONE,
    once: IdempotencyClaim | None = None,
) -> SecretVersion:
    """Store the next version at a path, and revive a deleted secret. The caller is authorised already.

    The version numbers of a path have no gaps. The common case is one statement: it stores the version
    if the secret's row is unchanged since its number was read. Where another writer was faster, or more
    is to be done, the row is locked first.

    Raises PreconditionFailed, PreconditionRequired, StillRunning, OpenError, ProviderError; nothing is
    stored then.
    """
    state = caller.path_state(vault_id, path)
    if state is None or state.fetch is not Fetch.NEXT:
        vault_key = active_vault_key(vault_id=vault_id)
    else:
        vault_key = prepare_vault_key(state.vault_key)
        secret = state.secret or Secret(vault_id=vault_id, path=path)
        if once is None and _only_adds_a_version(secret):
            with audited("secret.write", caller=caller, vault_id=vault_id, path=path):
                expect.check(secret)
                version = next_version(secret, new, vault_key=vault_key, created_by_id=caller.id)
                append = partial(_append, version)
                if record_with(append, write_event(version, "secret.write"), actor=caller.actor):
                    return version
    with audited_transaction("secret.write", caller=caller, vault_id=vault_id, path=path):
        secret = lock_or_create(vault_id, [path])[path]
        expect.check(secret)
        destroy_past_retention([secret])
        version = add_version(secret, new, vault_key=vault_key, created_by_id=caller.id)
        record_all([write_event(version, "secret.write")], actor=caller.actor)
        if once is not None:
            once.complete(version)
    return version


def write_event(version: SecretVersion, action: str) -> Event:
    """Return the event of a new version."""
    details = {"path": version.secret.path, "version": version.number, "type": version.type}
    resource = Resource("secret", version.secret_id, version.vault_id)
    return Event(action, SUCCESS, resource, details)


def _only_adds_a_version(secret: Secret) -> bool:
    """Tell whether a write only adds a version: nothing is revived, and no old version has to go."""
    kept = kept_versions(secret, app_settings.MAX_VERSIONS)
    return secret.deleted_at is None and (not kept or secret.current_version < kept)


# Advances the current version, unless somebody else has written to the secret or deleted it.
_ADVANCE = conditional_update(
    lambda: Secret.objects.filter(
        # A locked row counts as changed: a group commit does not wait for it.
        pk__in=Secret.objects.select_for_update(skip_locked=True)
        .filter(
            pk=Slot("secret", UUIDField()),
            current_version=Slot("current", IntegerField()),
            deleted_at__isnull=True,
        )
        .values("pk")
    ),
    current_version=Slot("next", IntegerField()),
)


def _append(version: SecretVersion, events: Sequence[AuditEvent]) -> bool:
    """Store a version and its events, if its number is still the next one. Returns whether it was."""
    secret = version.secret
    if secret.current_version == 0:
        new = Secret(
            pk=secret.pk, vault_id=secret.vault_id, path=secret.path, current_version=version.number
        )
        return commit_statement(insert_statement(new, [version, *events]))
    numbers = {
        "secret": secret.pk,
        "current": secret.current_version,
        "next": version.number,
    }
    return commit_statement(change_statement(_ADVANCE, numbers, [version, *events]))


def next_version(
    secret: Secret, new: NewVersion, *, vault_key: VaultKey, created_by_id: UUID
) -> SecretVersion:
    """Make the next version of a locked secret, without saving it."""
    return SecretVersion(
        vault_id=secret.vault_id,
        secret=secret,
        number=secret.current_version + 1,
        vault_key=vault_key,
        created_by_id=created_by_id,
        type=new.type,
        value=new.value,
        metadata=new.metadata,
        expires_at=expiry_of_new_version(secret, new.expires_at),
        rotation_policy=new.rotation_policy,
        max_access_count=new.max_access_count,
    )


def add_version(
    secret: Secret, new: NewVersion, *, vault_key: VaultKey, created_by_id: UUID
) -> SecretVersion:
    """Save the next version of a locked secret and make it the current one."""
    version = next_version(secret, new, vault_key=vault_key, created_by_id=created_by_id)
    version.save(force_insert=True)
    secret.current_version = version.number
    secret.deleted_at = None
    secret.save(update_fields=["current_version", "deleted_at"])
    destroy_oldest([secret])
    return version


def destroy_oldest(secrets: Sequence[Secret]) -> int:
    """Destroy value and metadata of versions beyond MAX_VERSIONS and the secret's own bound, for good.

    Returns how many there were.
    """
    destroyed = 0
    full: dict[int, list[Secret]] = {}
    for secret in secrets:
        kept = kept_versions(secret, app_settings.MAX_VERSIONS)
        if kept and secret.current_version > kept:
            full.setdefault(kept, []).append(secret)
    for kept, some in full.items():
        destroyed += destroy_versions_for_good(
            SecretVersion.objects.filter(
                vault_id=some[0].vault_id,
                secret__in=some,
                number__lte=F("secret__current_version") - kept,
            )
        )
    return destroyed


def lock_or_create(vault_id: UUID, paths: Sequence[str]) -> dict[str, Secret]:
    """Return the secrets at paths, locked until the transaction ends, with their settings. Missing ones
    are created.

    Missing rows are created first and then all are locked, both in the order of paths, so no two writers
    wait for each other. If a purge removes a row in between, it starts again without any lock. Raises
    Conflict after a few attempts.
    """
    rows = Secret.objects.filter(vault_id=vault_id, path__any_of=paths).order_by("path")
    if len(paths) == 1 and (found := _locked(rows)):
        return found
    for _ in range(_ATTEMPTS):
        with suppress(_PurgedMeanwhile), transaction.atomic():
            return _create_and_lock(rows, vault_id, paths)
    raise Conflict("The secret is being purged right now. Try again.")


class _PurgedMeanwhile(Exception):
    """A row was purged after it was created and before it was locked."""


def _create_and_lock(
    rows: QuerySet[Secret], vault_id: UUID, paths: Sequence[str]
) -> dict[str, Secret]:
    create_missing(rows, vault_id, paths)
    found = _locked(rows)
    if len(found) < len(paths):
        raise _PurgedMeanwhile
    return found


def _locked(rows: QuerySet[Secret]) -> dict[str, Secret]:
    # Settings take a statement of their own, after the lock. Of rows that are joined, PostgreSQL returns
    # what they were before it waited.
    locked = rows.select_for_update().prefetch_related("settings")
    return {secret.path: secret for secret in locked}


def create_missing(rows: QuerySet[Secret], vault_id: UUID, paths: Sequence[str]) -> None:
    """Create rows for those paths that are not among `rows`, without locking existing ones."""
    missing = sorted(set(paths) - set(rows.values_list("path", flat=True)))
    if missing:
        # If another writer is creating the same row, this waits for it and adds nothing.
        Secret.objects.bulk_create(
            [Secret(vault_id=vault_id, path=path) for path in missing], ignore_conflicts=True
        )


def destroy_past_retention(secrets: Sequence[Secret]) -> None:
    """Destroy the versions of secrets whose retention window is over.

    A write revives a deleted path, but must not bring these versions back.
    """
    end = timezone.now() - timedelta(days=app_settings.DELETED_RETENTION_DAYS)
    gone = [each for each in secrets if each.deleted_at is not None and each.deleted_at <= end]
    if gone:
        destroy_versions_for_good(
            SecretVersion.objects.filter(vault_id=gone[0].vault_id, secret__in=gone)
        )


def destroy_versions_for_good(versions: QuerySet[SecretVersion]) -> int:
    """Destroy value and metadata for good. Batch reads lock versions in the same order.

    Returns how many there were.
    """
    doomed = versions.filter(destroyed_at__isnull=True)
    locked = doomed.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True)
    return SecretVersion.objects.filter(pk__in=list(locked)).update(
        value=None, metadata=None, rotation_policy=None, destroyed_at=timezone.now()
    )

"""Writing a secret: every write is a new version."""

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
    """What a version is made of, validated. Fields that are None are unset."""

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
    """Store the next version at a path, reviving a deleted one; the caller is authorised already.

    Version numbers of a path are gapless: a version is stored only if the secret's row is still as it
    was when the number was taken. Where another writer was faster, or more is to be done than that,
    the row is locked first.
    Raises PreconditionFailed, StillRunning, OpenError, ProviderError; nothing is stored then.
    """
    state = caller.path_state(vault_id, path)
    if state is None or state.fetch is not Fetch.NEXT:
        vault_key = active_vault_key(vault_id=vault_id)
    else:
        vault_key = prepare_vault_key(state.vault_key)
        secret = state.secret or Secret(vault_id=vault_id, path=path)
        if once is None and _is_all_there_is_to_do(secret):
            with audited("secret.write", caller=caller, vault_id=vault_id, path=path):
                expect.check(secret)
                version = next_version(secret, new, vault_key=vault_key, created_by_id=caller.id)
                append = partial(_append, version)
                if record_with(append, written(version, "secret.write"), actor=caller.actor):
                    return version
    with audited_transaction("secret.write", caller=caller, vault_id=vault_id, path=path):
        secret = lock_or_make(vault_id, [path])[path]
        expect.check(secret)
        bury_what_was_deleted([secret])
        version = add_version(secret, new, vault_key=vault_key, created_by_id=caller.id)
        record_all([written(version, "secret.write")], actor=caller.actor)
        if once is not None:
            once.complete(version)
    return version


def written(version: SecretVersion, action: str) -> Event:
    """The event of a new version."""
    details = {"path": version.secret.path, "version": version.number, "type": version.type}
    resource = Resource("secret", version.secret_id, version.vault_id)
    return Event(action, SUCCESS, resource, details)


def _is_all_there_is_to_do(secret: Secret) -> bool:
    """Whether a new version of this secret is but a new version: nothing old has to go."""
    kept = app_settings.MAX_VERSIONS
    return secret.deleted_at is None and (not kept or secret.current_version < kept)


# Finds the row only while nobody else has written to it, or ended it.
_ADVANCE = conditional_update(
    lambda: Secret.objects.filter(
        # A row that somebody holds counts as changed: a group commit does not wait for it.
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
    """Store a version and its events, if its number still follows."""
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
    """The version that follows in a locked secret, not saved yet."""
    return SecretVersion(
        vault_id=secret.vault_id,
        secret=secret,
        number=secret.current_version + 1,
        vault_key=vault_key,
        created_by_id=created_by_id,
        type=new.type,
        value=new.value,
        metadata=new.metadata,
        expires_at=new.expires_at,
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


def destroy_oldest(secrets: Sequence[Secret]) -> None:
    """Keep to MAX_VERSIONS: value and metadata of older versions are gone for good."""
    kept = app_settings.MAX_VERSIONS
    if not kept or all(secret.current_version <= kept for secret in secrets):
        return
    _destroy(
        SecretVersion.objects.filter(
            vault_id=secrets[0].vault_id,
            secret__in=secrets,
            number__lte=F("secret__current_version") - kept,
        )
    )


def lock_or_make(vault_id: UUID, paths: Sequence[str]) -> dict[str, Secret]:
    """The rows of the paths, locked until the transaction ends; made where there are none yet.

    What is missing is made first and then everything is locked, each in the order of paths, so that
    no two writers wait for each other. A row that a purge takes away in between makes it start
    anew, with nothing held.
    """
    rows = Secret.objects.filter(vault_id=vault_id, path__any_of=paths).order_by("path")
    if len(paths) == 1:
        secret = rows.select_for_update().first()
        if secret is not None:
            return {secret.path: secret}
    for _ in range(_ATTEMPTS):
        with suppress(_Vanished), transaction.atomic():
            return _make_and_lock(rows, vault_id, paths)
    raise Conflict("The secret is being purged right now. Try again.")


class _Vanished(Exception):
    """A row was purged between making and locking it."""


def _make_and_lock(
    rows: QuerySet[Secret], vault_id: UUID, paths: Sequence[str]
) -> dict[str, Secret]:
    make_missing(rows, vault_id, paths)
    locked = {secret.path: secret for secret in rows.select_for_update()}
    if len(locked) < len(paths):
        raise _Vanished
    return locked


def make_missing(rows: QuerySet[Secret], vault_id: UUID, paths: Sequence[str]) -> None:
    """Rows for those of the paths that are not among `rows`, without locking what is there."""
    missing = sorted(set(paths) - set(rows.values_list("path", flat=True)))
    if missing:
        # Another writer may be making one right now: then this waits for it and adds nothing.
        Secret.objects.bulk_create(
            [Secret(vault_id=vault_id, path=path) for path in missing], ignore_conflicts=True
        )


def bury_what_was_deleted(secrets: Sequence[Secret]) -> None:
    """A write revives a deleted path. What was past its retention window stays gone."""
    end = timezone.now() - timedelta(days=app_settings.DELETED_RETENTION_DAYS)
    gone = [each for each in secrets if each.deleted_at is not None and each.deleted_at <= end]
    if gone:
        _destroy(SecretVersion.objects.filter(vault_id=gone[0].vault_id, secret__in=gone))


def _destroy(versions: QuerySet[SecretVersion]) -> None:
    """Value and metadata are gone for good. Locked in the order in which batches of reads lock."""
    doomed = versions.filter(destroyed_at__isnull=True)
    locked = doomed.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True)
    SecretVersion.objects.filter(pk__in=list(locked)).update(
        value=None, metadata=None, rotation_policy=None, destroyed_at=timezone.now()
    )

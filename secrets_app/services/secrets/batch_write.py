"""Writing many secrets at once, all or nothing, in a fixed number of database round trips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import F

from secrets_app.errors import Forbidden
from secrets_app.models import Secret, SecretVersion, VaultKey
from secrets_app.policy.decision import Permission
from secrets_app.services.access.authorization import scope_for
from secrets_app.services.audit import DENIED, Event, Resource, record_all
from secrets_app.services.caller import Caller
from secrets_app.services.sealing.vault_keys import active_vault_key
from secrets_app.services.secrets.preconditions import Precondition
from secrets_app.services.secrets.write import (
    NewVersion,
    destroy_oldest,
    destroy_past_retention,
    lock_or_create,
    next_version,
    write_event,
)
from secrets_app.services.transactions.audited import audited_transaction
from secrets_app.services.transactions.idempotency import IdempotencyClaim
from secrets_app.services.transactions.retry import retried
from secrets_app.sql.change_with_rows import insert_rows


@dataclass(frozen=True, slots=True)
class BatchItem:
    path: str
    new: NewVersion
    expect: Precondition


def authorize_many(*, caller: Caller, vault_id: UUID, paths: Sequence[str]) -> None:
    """Let pass who may write every one of the paths.

    Raises NotFound for the vault, Forbidden with an event for each path that was denied.
    """
    scope = scope_for(caller=caller, vault_id=vault_id, permission=Permission.WRITE)
    denied = [path for path in paths if not scope.covers(path)]
    if not denied:
        return
    resource = Resource("secret", None, vault_id)
    with transaction.atomic():
        events = (
            Event("secret.write", DENIED, resource, {"path": path, "permission": "write"})
            for path in denied
        )
        record_all(events, actor=caller.actor)
    raise Forbidden


@retried
def write_many(
    *,
    caller: Caller,
    vault_id: UUID,
    items: Sequence[BatchItem],
    once: IdempotencyClaim | None = None,
) -> list[SecretVersion]:
    """Store the next version at each of up to 200 different paths; the caller is authorised already.

    Raises PreconditionFailed, StillRunning, OpenError, ProviderError; nothing at all is stored then.
    """
    vault_key = active_vault_key(vault_id=vault_id)
    with audited_transaction("secret.write", caller=caller, vault_id=vault_id):
        secrets = lock_or_create(vault_id, [item.path for item in items])
        for item in items:
            item.expect.check(secrets[item.path])
        versions = add_versions(
            secrets,
            {item.path: item.new for item in items},
            vault_key=vault_key,
            created_by_id=caller.id,
        )
        events = (write_event(version, "secret.write") for version in versions)
        record_all(events, actor=caller.actor)
        if once is not None:
            once.complete(versions)
    return versions


def add_versions(
    secrets: Mapping[str, Secret],
    new: Mapping[str, NewVersion],
    *,
    vault_key: VaultKey,
    created_by_id: UUID,
) -> list[SecretVersion]:
    """Save the next version of each locked secret, in the order of `new`, and make it the current one."""
    rows = list(secrets.values())
    destroy_past_retention(rows)
    versions = [
        next_version(secrets[path], each, vault_key=vault_key, created_by_id=created_by_id)
        for path, each in new.items()
    ]
    if versions:
        insert_rows(versions)
    for version in versions:
        version.secret.current_version = version.number
        version.secret.deleted_at = None
    # One statement for all, since each number goes up by one.
    Secret.objects.filter(pk__any_of=[row.pk for row in rows]).update(
        current_version=F("current_version") + 1, deleted_at=None
    )
    if rows:
        destroy_oldest(rows)
    return versions

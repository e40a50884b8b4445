"""Reading many secrets at once, in a fixed number of database round trips."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from secrets_app.errors import CryptoError, Forbidden, NotFound, SecretsAppError, Unavailable
from secrets_app.models import SecretVersion
from secrets_app.models.request_state import current_versions
from secrets_app.policy.decision import Permission
from secrets_app.policy.scope import scope_of
from secrets_app.services.access.authorization import vault_of
from secrets_app.services.audit import DENIED, FAILURE, SUCCESS, Event, Resource, record_all
from secrets_app.services.caller import Caller
from secrets_app.services.secrets.lookup import NO_SECRET, check_available
from secrets_app.services.secrets.reveal import Revealed, open_version
from secrets_app.services.transactions.retry import retried

MAX_ITEMS = 200
_ENDS = ("disabled_at", "destroyed_at")


@dataclass(frozen=True, slots=True)
class Refused:
    """Why one path of a batch was not revealed."""

    path: str
    error: SecretsAppError


@retried
def reveal_many(
    *, caller: Caller, vault_id: UUID, paths: Sequence[str]
) -> list[Revealed | Refused]:
    """Open the latest version at each of up to 200 different valid paths, in their order.

    Each path is judged by itself, has an event of its own, and spends an access of its own; one
    that is refused does not keep the others back. Raises NotFound for the vault.
    """
    vault = vault_of(caller, vault_id)
    scope = scope_of(
        is_owner=vault.is_owner,
        rules=vault.rules,
        permission=Permission.READ,
        address=caller.actor.address,
        now=timezone.now(),
    )
    allowed = {path for path in paths if scope.covers(path)}
    found = {version.secret.path: version for version in current_versions(vault_id, allowed)}
    counted = [v.pk for v in found.values() if v.max_access_count is not None]
    # Without accesses to spend, recording the events is all that is changed.
    with transaction.atomic() if counted else nullcontext():
        _lock(found, counted)
        results = [
            _open_one(path, found.get(path)) if path in allowed else Refused(path, Forbidden())
            for path in paths
        ]
        _spend(results)
        record_all((_event(vault_id, result) for result in results), actor=caller.actor)
    return results


def _lock(found: dict[str, SecretVersion], counted: Sequence[UUID]) -> None:
    """Those whose accesses are counted stay locked till the commit, in the order of their ids, so that no
    two batches wait for each other. What was destroyed since it was found has no row to lock."""
    if not counted:
        return
    locked = SecretVersion.objects.select_for_update().filter(pk__in=counted).order_by("pk")
    now = {row["pk"]: row for row in locked.values("pk", "access_count", *_ENDS)}
    for path in [path for path, version in found.items() if version.pk in counted]:
        row = now.get(found[path].pk)
        if row is None:
            del found[path]
            continue
        for name in ("access_count", *_ENDS):
            setattr(found[path], name, row[name])


def _open_one(path: str, version: SecretVersion | None) -> Revealed | Refused:
    try:
        if version is None:
            raise NotFound(NO_SECRET)
        check_available(version, now=timezone.now())
        return Revealed(version, open_version(version))
    except (NotFound, Unavailable, CryptoError) as error:
        return Refused(path, error)


def _spend(results: Sequence[Revealed | Refused]) -> None:
    """Count the accesses; the rows are locked and were found to have one left."""
    spent = [
        result.version.pk
        for result in results
        if isinstance(result, Revealed) and result.version.max_access_count is not None
    ]
    if spent:
        SecretVersion.objects.filter(pk__in=spent).update(access_count=F("access_count") + 1)


def _event(vault_id: UUID, result: Revealed | Refused) -> Event:
    if isinstance(result, Revealed):
        version = result.version
        resource = Resource("secret", version.secret_id, vault_id)
        details = {"path": version.secret.path, "version": version.number}
        return Event("secret.read", SUCCESS, resource, details)
    error = result.error
    outcome = DENIED if isinstance(error, Forbidden) else FAILURE
    reason = error.reason if isinstance(error, Unavailable) else type(error).__name__
    details = {"path": result.path, "reason": reason}
    return Event("secret.read", outcome, Resource("secret", None, vault_id), details)

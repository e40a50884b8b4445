"""Reading many secrets at once, in a fixed number of database round trips."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from secrets_app.conf import app_settings
from secrets_app.errors import (
    CryptoError,
    Forbidden,
    NotFound,
    SecretsAppError,
    TooLarge,
    Unavailable,
)
from secrets_app.models import SecretVersion
from secrets_app.models.versions_to_read import current_sizes, versions_by_id
from secrets_app.policy.decision import Permission
from secrets_app.services.access.authorization import scope_for
from secrets_app.services.audit import DENIED, FAILURE, SUCCESS, Event, Resource, record_all
from secrets_app.services.caller import Caller
from secrets_app.services.secrets.batch_memory import Share
from secrets_app.services.secrets.lookup import NO_SECRET, check_available
from secrets_app.services.secrets.reveal import Revealed, open_version
from secrets_app.services.transactions.retry import retried

MAX_ITEMS = 200
# Sealed values that one statement brings.
_FETCHED_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Refused:
    """Why one path of a batch was not revealed."""

    path: str
    error: SecretsAppError


@retried
def reveal_many(
    *, caller: Caller, vault_id: UUID, paths: Sequence[str], share: Share
) -> list[Revealed | Refused]:
    """Open the latest version at each of up to 200 different valid paths, in their order.

    Each path is judged by itself, has an event of its own, and spends an access of its own; one
    that is refused does not keep the others back. What the values take is known, and taken from
    `share`, before any of them is fetched.
    Raises NotFound for the vault; TooLarge beyond BATCH_MAX_BYTES and TooManyRequests where there is
    no room: then nothing is opened, spent or recorded.
    """
    scope = scope_for(caller=caller, vault_id=vault_id, permission=Permission.READ)
    allowed = {path for path in paths if scope.covers(path)}
    found = current_sizes(vault_id, allowed)
    share.take(_size(found))
    counted = [each["pk"] for each in found if each["max_access_count"] is not None]
    # Without accesses to spend, recording the events is all that is changed.
    with transaction.atomic() if counted else nullcontext():
        _lock(counted)
        opened = {
            version.secret.path: _open_one(version)
            for ids in _portions(found)
            for version in versions_by_id(vault_id, ids)
        }
        results = [
            opened.get(path) or Refused(path, NotFound(NO_SECRET))
            if path in allowed
            else Refused(path, Forbidden())
            for path in paths
        ]
        _spend(results)
        record_all((_event(vault_id, result) for result in results), actor=caller.actor)
    return results


def _size(found: Sequence[dict[str, Any]]) -> int:
    size = sum(each["size"] or 0 for each in found)
    if size > app_settings.BATCH_MAX_BYTES:
        raise TooLarge(
            "What is at these paths",
            app_settings.BATCH_MAX_BYTES,
            "Ask for fewer paths at a time, or read large values one by one.",
        )
    return size


def _portions(found: Sequence[dict[str, Any]]) -> Iterator[list[UUID]]:
    """Ids of versions that are fetched together: few bytes are in memory as they were stored, besides
    what is opened."""
    ids: list[UUID] = []
    size = 0
    for each in found:
        if ids and size + (each["size"] or 0) > _FETCHED_BYTES:
            yield ids
            ids, size = [], 0
        ids.append(each["pk"])
        size += each["size"] or 0
    if ids:
        yield ids


def _lock(counted: Sequence[UUID]) -> None:
    """Those whose accesses are counted stay locked till the commit, in the order of their ids, so that no
    two batches wait for each other. What is fetched after that is what they are now."""
    if counted:
        rows = SecretVersion.objects.select_for_update().filter(pk__in=counted).order_by("pk")
        list(rows.values_list("pk"))


def _open_one(version: SecretVersion) -> Revealed | Refused:
    try:
        check_available(version, now=timezone.now())
        return Revealed(version, open_version(version))
    except (Unavailable, CryptoError) as error:
        return Refused(version.secret.path, error)
    finally:
        version.value = None  # what was stored goes as soon as it is opened


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

"""Marks of single versions: disable them, enable them again, destroy them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from secrets_app.conf import app_settings
from secrets_app.errors import Conflict, NotFound, Unavailable
from secrets_app.models import Secret, SecretVersion
from secrets_app.services.access.authorization import require_owner
from secrets_app.services.audit import SUCCESS, Event, Resource, record_all
from secrets_app.services.caller import Caller
from secrets_app.services.secrets.lookup import NO_SECRET, lock_secret
from secrets_app.services.secrets.write import destroy_versions_for_good
from secrets_app.services.transactions.audited import audited_transaction
from secrets_app.services.transactions.idempotency import IdempotencyClaim
from secrets_app.services.transactions.retry import retried


@dataclass(frozen=True, slots=True)
class Marked:
    """A secret and the numbers of those of its versions that were marked."""

    secret: Secret
    numbers: tuple[int, ...]


@retried
def disable_versions(
    *, caller: Caller, vault_id: UUID, path: str, numbers: Collection[int] | None = None
) -> Marked:
    """Make versions unreadable, the current one for None; those that are not there are passed by.

    Doing it twice is no error. Raises NotFound.
    """
    with audited_transaction("secret.disable", caller=caller, vault_id=vault_id, path=path):
        secret = lock_secret(vault_id=vault_id, path=path)
        if secret.current_version == 0:
            raise NotFound(NO_SECRET)
        wanted = [secret.current_version] if numbers is None else numbers
        rows = _named(secret, wanted).filter(disabled_at__isnull=True, destroyed_at__isnull=True)
        marked = _numbers(rows)
        rows.update(disabled_at=timezone.now())
        _record("secret.disable", caller, secret, marked)
    return Marked(secret, marked)


@retried
def enable_versions(
    *,
    caller: Caller,
    vault_id: UUID,
    path: str,
    numbers: Collection[int],
    revive: bool = False,
    must_exist: bool = False,
    once: IdempotencyClaim | None = None,
) -> Marked:
    """Make disabled versions readable again; those that are not there, or destroyed, are passed by, or
    raise NotFound and Unavailable with `must_exist`.

    With `revive` a deleted secret comes back with its current version, within the retention window.
    Raises NotFound, Conflict for a version that has expired, Unavailable after the retention window.
    """
    with audited_transaction("secret.enable", caller=caller, vault_id=vault_id, path=path):
        secret = lock_secret(vault_id=vault_id, path=path)
        if secret.current_version == 0 or (secret.deleted_at is not None and not revive):
            raise NotFound(NO_SECRET)
        found = list(_named(secret, numbers).defer("value"))
        if must_exist and not found:
            raise NotFound("There is no such version.")
        if must_exist and any(each.destroyed_at is not None for each in found):
            raise Unavailable("destroyed")
        now = timezone.now()
        living = [each for each in found if each.destroyed_at is None]
        if any(each.expires_at is not None and each.expires_at <= now for each in living):
            raise Conflict("A version that has expired cannot be enabled again.")
        if secret.deleted_at is not None and secret.current_version in numbers:
            _revive(secret)
        disabled = [each.pk for each in living if each.disabled_at is not None]
        SecretVersion.objects.filter(pk__in=disabled).update(disabled_at=None)
        marked = tuple(sorted(each.number for each in living))
        _record("secret.enable", caller, secret, marked)
        if once is not None:
            once.complete(None)
    return Marked(secret, marked)


@retried
def destroy_versions(
    *, caller: Caller, vault_id: UUID, path: str, numbers: Collection[int]
) -> Marked:
    """Destroy value and metadata of versions for good. For the vault's owner.

    Raises Forbidden, NotFound.
    """
    require_owner(caller=caller, vault_id=vault_id, action="secret.destroy", path=path)
    with audited_transaction("secret.destroy", caller=caller, vault_id=vault_id, path=path):
        secret = lock_secret(vault_id=vault_id, path=path)
        doomed = _named(secret, numbers).filter(destroyed_at__isnull=True)
        marked = _numbers(doomed)
        destroy_versions_for_good(_named(secret, marked))
        _record("secret.destroy", caller, secret, marked)
    return Marked(secret, marked)


def _named(secret: Secret, numbers: Iterable[int]) -> QuerySet[SecretVersion]:
    return SecretVersion.objects.filter(
        vault_id=secret.vault_id, secret=secret, number__in=list(numbers)
    )


def _numbers(rows: QuerySet[SecretVersion]) -> tuple[int, ...]:
    return tuple(rows.order_by("number").values_list("number", flat=True))


def _revive(secret: Secret) -> None:
    kept_for = timedelta(days=app_settings.DELETED_RETENTION_DAYS)
    if secret.deleted_at is not None and secret.deleted_at <= timezone.now() - kept_for:
        raise Unavailable("deleted")
    secret.deleted_at = None
    secret.save(update_fields=["deleted_at"])


def _record(action: str, caller: Caller, secret: Secret, numbers: Iterable[int]) -> None:
    """An event for each version; one that marked nothing leaves one as well."""
    resource = Resource("secret", secret.id, secret.vault_id)
    told = [{"path": secret.path, "version": number} for number in numbers]
    events = [Event(action, SUCCESS, resource, each) for each in told or [{"path": secret.path}]]
    record_all(events, actor=caller.actor)

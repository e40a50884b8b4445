"""Reveal a secret. This is the only door to plaintext."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from django.db.models import F, UUIDField
from django.utils import timezone

from secrets_app.crypto.plaintext import Plaintext
from secrets_app.errors import NotFound, OpenError, Unavailable
from secrets_app.fields import Sealed
from secrets_app.keys import keyring
from secrets_app.models import AuditEvent, SecretVersion, VaultKey
from secrets_app.models.request_state import Fetch
from secrets_app.models.versions_to_read import versions_by_id
from secrets_app.services.audit import SUCCESS, Event, Resource, record_all, record_with
from secrets_app.services.caller import Caller
from secrets_app.services.secrets.lookup import (
    NO_SECRET,
    check_available,
    find_version,
    record_description,
)
from secrets_app.services.transactions.audited import audited
from secrets_app.services.transactions.retry import retried
from secrets_app.sql.change_with_rows import change_statement, conditional_update
from secrets_app.sql.compiled import Slot


@dataclass(frozen=True, slots=True)
class Revealed:
    """A version and its value. `value` is None when the caller has this version already."""

    version: SecretVersion
    value: Plaintext | None


@retried
def reveal_secret(
    *,
    caller: Caller,
    vault_id: UUID,
    path: str,
    number: int | None = None,
    is_known: Callable[[int], bool] = lambda _: False,
) -> Revealed:
    """Open a version at a path (the current one for None). The caller is authorised already.

    One statement spends an access and records the event. It is committed before the value is returned.
    Nothing is spent when the value does not open, or when `is_known` says that the caller has this
    version already.

    Raises NotFound, Unavailable, EnvelopeError, OpenError, ProviderError.
    """
    with audited("secret.read", caller=caller, vault_id=vault_id, path=path):
        version = _find(caller, vault_id, path, number)
        check_available(version, now=timezone.now())
        if is_known(version.number):
            record_description(caller, version)
            return Revealed(version, None)
        value = open_version(version)
        event = Event(
            "secret.read",
            SUCCESS,
            Resource("secret", version.secret_id, vault_id),
            {"path": path, "version": version.number},
        )
        if version.max_access_count is None:
            record_all([event], actor=caller.actor)
        elif not record_with(partial(_spend_access, version), event, actor=caller.actor):
            raise Unavailable("used_up")
        return Revealed(version, value)


def peek(*, caller: Caller, vault_id: UUID, path: str, number: int | None = None) -> Revealed:
    """Open a version for what can be told without its value, such as which keys it has; the caller is
    authorised already to read. No access is spent, and the event says that it was looked at.

    Raises NotFound, Unavailable, EnvelopeError, OpenError, ProviderError.
    """
    with audited("secret.describe", caller=caller, vault_id=vault_id, path=path):
        version = _find(caller, vault_id, path, number)
        check_available(version, now=timezone.now())
        value = open_version(version)
        record_description(caller, version)
        return Revealed(version, value)


def _find(caller: Caller, vault_id: UUID, path: str, number: int | None) -> SecretVersion:
    state = caller.path_state(vault_id, path)
    if number is not None or state is None or state.fetch is not Fetch.CURRENT:
        return find_version(vault_id=vault_id, path=path, number=number)
    if state.version is None:
        raise NotFound(NO_SECRET)
    if state.is_whole:
        return state.version
    for version in versions_by_id(vault_id, [state.version.pk]):
        return version
    raise NotFound(NO_SECRET)  # purged meanwhile


def open_version(version: SecretVersion) -> Plaintext:
    """Decrypt the value of a version. Raises EnvelopeError, OpenError, ProviderError."""
    sealed = version.value
    # A key's mark and its bytes are two columns: one of them may have been put back.
    if not isinstance(sealed, Sealed) or version.vault_key.state == VaultKey.State.DESTROYED:
        raise OpenError
    return keyring().open(sealed.envelope, version.encryption_context())


# Checks and counts in one statement, so that two readers never get the same last access.
_SPEND = conditional_update(
    lambda: SecretVersion.objects.filter(
        pk=Slot("version", UUIDField()),
        disabled_at__isnull=True,
        destroyed_at__isnull=True,
        access_count__lt=F("max_access_count"),
    ),
    access_count=F("access_count") + 1,
)


def _spend_access(version: SecretVersion, events: Sequence[AuditEvent]) -> bool:
    return change_statement(_SPEND, {"version": version.pk}, events)()

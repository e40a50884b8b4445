"""The only door to plaintext."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import F
from django.utils import timezone

from secrets_app.crypto.plaintext import Plaintext
from secrets_app.errors import OpenError, Unavailable
from secrets_app.fields import Sealed
from secrets_app.keys import keyring
from secrets_app.models import SecretVersion
from secrets_app.services.access import Caller
from secrets_app.services.attempt import attempt
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.lookup import check_available, find_version, record_description


@dataclass(frozen=True, slots=True)
class Revealed:
    """`value` is None when the caller has this version already."""

    version: SecretVersion
    value: Plaintext | None


def reveal_secret(
    *,
    caller: Caller,
    vault_id: UUID,
    path: str,
    number: int | None = None,
    is_known: Callable[[int], bool] = lambda _: False,
) -> Revealed:
    """Open a version at a path, the latest for None; the caller is authorised already.

    The access is spent and the event recorded in one transaction, committed before the value is
    returned. When the value does not open, or `is_known` says that the caller has this version
    already, nothing is spent.

    Raises NotFound, Unavailable, EnvelopeError, OpenError, ProviderError.
    """
    with attempt("secret.read", caller=caller, vault_id=vault_id, path=path):
        version = find_version(vault_id=vault_id, path=path, number=number)
        check_available(version, now=timezone.now())
        if is_known(version.number):
            record_description(caller, version)
            return Revealed(version, None)
        _spend_access(version)
        record(
            "secret.read",
            SUCCESS,
            actor=caller.actor,
            resource=Resource("secret", version.secret_id, vault_id),
            details={"path": path, "version": version.number},
        )
        return Revealed(version, open_version(version))


def open_version(version: SecretVersion) -> Plaintext:
    """Open what is sealed in a row. Raises EnvelopeError, OpenError, ProviderError."""
    sealed = version.value
    if not isinstance(sealed, Sealed):
        raise OpenError
    return keyring().open(sealed.envelope, version.encryption_context())


def _spend_access(version: SecretVersion) -> None:
    """Check and count in one statement, so that no two readers get the same last access."""
    if version.max_access_count is None:
        return
    spent = SecretVersion.objects.filter(
        pk=version.pk,
        disabled_at__isnull=True,
        destroyed_at__isnull=True,
        access_count__lt=F("max_access_count"),
    ).update(access_count=F("access_count") + 1)
    if not spent:
        raise Unavailable("used_up")

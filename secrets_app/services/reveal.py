"""The only door to plaintext."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from secrets_app.crypto.plaintext import Plaintext
from secrets_app.errors import OpenError, SecretsAppError, Unavailable
from secrets_app.fields import Sealed
from secrets_app.keys import keyring
from secrets_app.models import SecretVersion
from secrets_app.services.access import Caller
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.lookup import check_available, find_current_version, record_failure


@dataclass(frozen=True, slots=True)
class Revealed:
    version: SecretVersion
    value: Plaintext


def reveal_secret(*, caller: Caller, vault_id: UUID, path: str) -> Revealed:
    """Open the latest version at a path; the caller is authorised already.

    The access is spent and the event recorded in one transaction, committed before the value is
    returned. When the value does not open, nothing is spent.

    Raises NotFound, Unavailable, EnvelopeError, OpenError, ProviderError.
    """
    try:
        with transaction.atomic():
            version = find_current_version(vault_id=vault_id, path=path)
            check_available(version, now=timezone.now())
            _spend_access(version)
            record(
                "secret.read",
                SUCCESS,
                actor=caller.actor,
                resource=Resource("secret", version.secret_id, vault_id),
                details={"path": path, "version": version.number},
            )
            return Revealed(version, _open(version))
    except SecretsAppError as error:
        record_failure("secret.read", caller=caller, vault_id=vault_id, path=path, error=error)
        raise


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


def _open(version: SecretVersion) -> Plaintext:
    sealed = version.value
    if not isinstance(sealed, Sealed):
        raise OpenError
    return keyring().open(sealed.envelope, version.encryption_context())

"""Finding the version of a secret that a request is about, and saying why it cannot be read."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from secrets_app.errors import NotFound, SecretsAppError, Unavailable
from secrets_app.models import SecretVersion
from secrets_app.services.access import Caller
from secrets_app.services.audit import FAILURE, SUCCESS, Resource, record


def find_current_version(*, vault_id: UUID, path: str) -> SecretVersion:
    """The latest version at a path, with `secret`, `vault_key` and `created_by`. Raises NotFound."""
    version = (
        SecretVersion.objects.select_related("secret", "vault_key", "created_by")
        .filter(
            vault_id=vault_id,
            secret__vault_id=vault_id,
            secret__path=path,
            number=F("secret__current_version"),
        )
        .first()
    )
    if version is None:
        raise NotFound("There is no secret at this path.")
    return version


def check_available(version: SecretVersion, *, now: datetime) -> None:
    """Raises Unavailable when the version cannot be read any more."""
    if version.secret.deleted_at is not None:
        raise Unavailable("deleted")
    if version.destroyed_at is not None:
        raise Unavailable("destroyed")
    if version.disabled_at is not None:
        raise Unavailable("disabled")
    if version.expires_at is not None and version.expires_at <= now:
        raise Unavailable("expired")
    if version.max_access_count is not None and version.access_count >= version.max_access_count:
        raise Unavailable("used_up")


def describe_secret(*, caller: Caller, vault_id: UUID, path: str) -> SecretVersion:
    """What is known of a secret besides its value; spends no access. Raises NotFound, Unavailable."""
    try:
        with transaction.atomic():
            version = find_current_version(vault_id=vault_id, path=path)
            check_available(version, now=timezone.now())
            record(
                "secret.describe",
                SUCCESS,
                actor=caller.actor,
                resource=Resource("secret", version.secret_id, vault_id),
                details={"path": path, "version": version.number},
            )
    except SecretsAppError as error:
        record_failure("secret.describe", caller=caller, vault_id=vault_id, path=path, error=error)
        raise
    return version


def record_failure(
    action: str, *, caller: Caller, vault_id: UUID, path: str, error: SecretsAppError
) -> None:
    """The event of an allowed request that could not be fulfilled, in a transaction of its own."""
    reason = error.reason if isinstance(error, Unavailable) else type(error).__name__
    with transaction.atomic():
        record(
            action,
            FAILURE,
            actor=caller.actor,
            resource=Resource("secret", None, vault_id),
            details={"path": path, "reason": reason},
        )

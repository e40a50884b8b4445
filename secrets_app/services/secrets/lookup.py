"""Find the version that a request is about, and say why it cannot be read."""

from datetime import datetime
from uuid import UUID

from django.db.models import F
from django.utils import timezone

from secrets_app.errors import NotFound, Unavailable
from secrets_app.models import Secret, SecretVersion
from secrets_app.models.secret import id_at, versions_with_rows
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Caller
from secrets_app.services.transactions.audited import audited_transaction

NO_SECRET = "There is no secret at this path."  # noqa: S105


def find_version(*, vault_id: UUID, path: str, number: int | None) -> SecretVersion:
    """Return a version (the current one for None) with its `secret`, `vault_key` and `created_by`.

    Raises NotFound.
    """
    wanted = F("secret__current_version") if number is None else number
    version = (
        versions_with_rows(vault_id).filter(secret=id_at(vault_id, path), number=wanted).first()
    )
    if version is None:
        raise NotFound(NO_SECRET if number is None else "There is no such version.")
    return version


def lock_secret(*, vault_id: UUID, path: str) -> Secret:
    """Return the secret at a path, locked until the transaction ends. Raises NotFound."""
    secret = Secret.objects.select_for_update().filter(vault_id=vault_id, path=path).first()
    if secret is None:
        raise NotFound(NO_SECRET)
    return secret


def check_available(version: SecretVersion, *, now: datetime) -> None:
    """Check that a version can still be read. Raises Unavailable with the reason."""
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


def describe_secret(
    *, caller: Caller, vault_id: UUID, path: str, number: int | None = None
) -> SecretVersion:
    """Return a version without its value. This spends no access. Raises NotFound, Unavailable."""
    with audited_transaction("secret.describe", caller=caller, vault_id=vault_id, path=path):
        version = find_version(vault_id=vault_id, path=path, number=number)
        check_available(version, now=timezone.now())
        record_description(caller, version)
    return version


def record_description(caller: Caller, version: SecretVersion) -> None:
    """Record that a version was looked at without its value."""
    record(
        "secret.describe",
        SUCCESS,
        actor=caller.actor,
        resource=Resource("secret", version.secret_id, version.vault_id),
        details={"path": version.secret.path, "version": version.number},
    )

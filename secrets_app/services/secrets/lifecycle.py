"""End a secret, or bring it back: delete, undelete, purge, disable a version."""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from secrets_app.conf import app_settings
from secrets_app.errors import Conflict, NotFound, Unavailable
from secrets_app.models import Secret, SecretVersion
from secrets_app.services.access.authorization import require_owner
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Actor, Caller
from secrets_app.services.secrets.lookup import NO_SECRET, find_version, lock_secret
from secrets_app.services.transactions.audited import audited_transaction
from secrets_app.services.transactions.idempotency import IdempotencyClaim, forget_answers_about
from secrets_app.services.transactions.retry import retried


@retried
def delete_secret(*, caller: Caller, vault_id: UUID, path: str) -> None:
    """Make all versions unavailable. `undelete_secret` can restore them within the retention window.

    Raises NotFound when there is no secret, or it is deleted already.
    """
    with audited_transaction("secret.delete", caller=caller, vault_id=vault_id, path=path):
        secret = lock_secret(vault_id=vault_id, path=path)
        if secret.deleted_at is not None or secret.current_version == 0:
            raise NotFound(NO_SECRET)
        secret.deleted_at = timezone.now()
        secret.save(update_fields=["deleted_at"])
        _record("secret.delete", caller.actor, secret)


@retried
def undelete_secret(
    *, caller: Caller, vault_id: UUID, path: str, once: IdempotencyClaim | None = None
) -> SecretVersion:
    """Restore a deleted secret with all its versions. Returns the latest version.

    Raises NotFound, Conflict when it is not deleted, Unavailable after the retention window.
    """
    with audited_transaction("secret.undelete", caller=caller, vault_id=vault_id, path=path):
        secret = lock_secret(vault_id=vault_id, path=path)
        if secret.deleted_at is None:
            raise Conflict("The secret is not deleted.")
        kept_for = timedelta(days=app_settings.DELETED_RETENTION_DAYS)
        if secret.deleted_at <= timezone.now() - kept_for:
            raise Unavailable("deleted")
        secret.deleted_at = None
        secret.save(update_fields=["deleted_at"])
        version = find_version(vault_id=vault_id, path=path, number=None)
        _record("secret.undelete", caller.actor, secret)
        if once is not None:
            once.complete(version)
    return version


@retried
def purge_secret(*, caller: Caller, vault_id: UUID, path: str) -> None:
    """Destroy a secret, deleted or not, with all its versions, for good. Only the vault's owner may.

    Raises Forbidden, NotFound.
    """
    require_owner(caller=caller, vault_id=vault_id, action="secret.purge", path=path)
    with audited_transaction("secret.purge", caller=caller, vault_id=vault_id, path=path):
        secret = lock_secret(vault_id=vault_id, path=path)
        SecretVersion.objects.filter(vault_id=vault_id, secret=secret).delete()
        forget_answers_about(vault_id=vault_id, secret_id=secret.id)
        _record("secret.purge", caller.actor, secret)
        secret.delete()


@retried
def disable_version(
    *, caller: Caller, vault_id: UUID, path: str, number: int, once: IdempotencyClaim | None = None
) -> None:
    """Make one version unreadable. To repeat this is no error. Raises NotFound."""
    with audited_transaction("secret.disable", caller=caller, vault_id=vault_id, path=path):
        secret = lock_secret(vault_id=vault_id, path=path)
        if secret.deleted_at is not None:
            raise NotFound(NO_SECRET)
        version = find_version(vault_id=vault_id, path=path, number=number)
        if version.disabled_at is None:
            version.disabled_at = timezone.now()
            version.save(update_fields=["disabled_at"])
        _record("secret.disable", caller.actor, secret, number)
        if once is not None:
            once.complete(None)


def disable_any_version(*, version_id: UUID, actor: Actor) -> None:
    """Make a version unreadable as an operator, even one of a deleted secret. Raises NotFound."""
    with transaction.atomic():
        version = (
            SecretVersion.objects.select_for_update(of=("self",))
            .select_related("secret")
            .defer("value")
            .filter(pk=version_id, destroyed_at__isnull=True)
            .first()
        )
        if version is None:
            raise NotFound("There is no such version.")
        if version.disabled_at is None:
            SecretVersion.objects.filter(pk=version_id).update(disabled_at=timezone.now())
        _record("secret.disable", actor, version.secret, version.number)


def _record(action: str, actor: Actor, secret: Secret, number: int | None = None) -> None:
    details = {"path": secret.path} | ({} if number is None else {"version": number})
    resource = Resource("secret", secret.id, secret.vault_id)
    record(action, SUCCESS, actor=actor, resource=resource, details=details)

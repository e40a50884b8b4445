"""What is known of a secret and its versions besides their values."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import F
from django.utils import timezone

from secrets_app.conf import app_settings
from secrets_app.errors import NotFound
from secrets_app.models import Secret, SecretVersion
from secrets_app.models.secret import id_at, versions_with_rows
from secrets_app.models.secret_settings import kept_versions
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Caller
from secrets_app.services.secrets.lookup import NO_SECRET
from secrets_app.services.transactions.audited import audited_transaction

# Of a secret with more versions, the newest are told.
MOST_VERSIONS = 10_000


@dataclass(frozen=True, slots=True)
class History:
    """`versions` are those that are kept, oldest first, without values."""

    secret: Secret
    versions: list[SecretVersion]


def secret_history(*, caller: Caller, vault_id: UUID, path: str) -> History:
    """Return a secret with its settings and versions, a deleted one too while it can come back; the caller
    is authorised already. Raises NotFound.
    """
    with audited_transaction("secret.versions", caller=caller, vault_id=vault_id, path=path):
        secret = (
            Secret.objects.select_related("settings").filter(vault_id=vault_id, path=path).first()
        )
        if secret is None or is_gone(secret):
            raise NotFound(NO_SECRET)
        kept = kept_versions(secret, app_settings.MAX_VERSIONS)
        rows = SecretVersion.objects.defer("value").filter(vault_id=vault_id, secret=secret)
        if kept:
            rows = rows.filter(number__gt=secret.current_version - kept)
        versions = list(rows.order_by("-number")[:MOST_VERSIONS])[::-1]
        for version in versions:
            version.secret = secret
        record(
            "secret.versions",
            SUCCESS,
            actor=caller.actor,
            resource=Resource("secret", secret.id, vault_id),
            details={"path": path, "count": len(versions)},
        )
    return History(secret, versions)


def unavailable_version(*, vault_id: UUID, path: str, number: int | None) -> SecretVersion | None:
    """Return the version that a read was refused for, so that the refusal can say since when; the current
    one for None. The caller is authorised already, and the refusal has left its event.
    """
    wanted = F("secret__current_version") if number is None else number
    rows = versions_with_rows(vault_id).defer("value")
    version = rows.filter(secret=id_at(vault_id, path), number=wanted).first()
    if version is None or is_gone(version.secret):
        return None
    kept = kept_versions(version.secret, app_settings.MAX_VERSIONS)
    is_kept = not kept or version.number > version.secret.current_version - kept
    return version if is_kept else None


def type_at(*, vault_id: UUID, path: str) -> str | None:
    """Return the type of the current version at a path, None where there is none."""
    current = SecretVersion.objects.filter(
        vault_id=vault_id, secret=id_at(vault_id, path), number=F("secret__current_version")
    )
    return current.values_list("type", flat=True).first()


def is_gone(secret: Secret) -> bool:
    """Tell whether a deleted secret is past its retention window, and waits to be purged."""
    kept_for = timedelta(days=app_settings.DELETED_RETENTION_DAYS)
    return secret.deleted_at is not None and secret.deleted_at <= timezone.now() - kept_for

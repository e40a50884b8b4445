"""What is set for a secret as a whole: how many versions are kept and for how long, whether a write must
say what it expects, and notes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.utils import timezone

from secrets_app.errors import InvalidInput, NotFound
from secrets_app.models import Secret, SecretSettings
from secrets_app.models.secret_settings import settings_of
from secrets_app.readable import is_readable
from secrets_app.services.access.authorization import require_owner
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Caller
from secrets_app.services.secrets.lookup import NO_SECRET
from secrets_app.services.secrets.write import destroy_oldest, lock_or_create
from secrets_app.services.transactions.audited import audited_transaction
from secrets_app.services.transactions.idempotency import IdempotencyClaim
from secrets_app.services.transactions.retry import retried

MAX_VERSIONS_BOUND = 1_000_000
# Ten years, in seconds.
LONGEST_LIFE = 3650 * 86_400
MAX_NOTES, MAX_NOTE_NAME_CHARS, MAX_NOTE_CHARS = 64, 128, 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`max_versions` 0: as many as the deployment keeps. `delete_version_after`: seconds, 0: never.
    `custom_metadata`: text by name, None: none."""

    max_versions: int = 0
    cas_required: bool = False
    delete_version_after: int = 0
    custom_metadata: Mapping[str, str] | None = None


DEFAULTS = Settings()


def get_settings(*, caller: Caller, vault_id: UUID, path: str) -> Settings:
    """Return what is set for a secret, the defaults where nothing is; the caller is authorised already.

    Raises NotFound where there is neither a secret nor settings.
    """
    with audited_transaction("secret.settings", caller=caller, vault_id=vault_id, path=path):
        secret = (
            Secret.objects.select_related("settings")
            .filter(vault_id=vault_id, path=path, deleted_at__isnull=True)
            .first()
        )
        if secret is None:
            raise NotFound(NO_SECRET)
        record(
            "secret.settings",
            SUCCESS,
            actor=caller.actor,
            resource=Resource("secret", secret.id, vault_id),
            details={"path": path},
        )
    return read_settings(settings_of(secret))


def read_settings(row: SecretSettings | None) -> Settings:
    """Return a row as it is told."""
    if row is None:
        return DEFAULTS
    return Settings(
        max_versions=row.max_versions,
        cas_required=row.cas_required,
        delete_version_after=row.delete_version_after,
        custom_metadata=row.custom_metadata,
    )


@retried
def change_settings(
    *,
    caller: Caller,
    vault_id: UUID,
    path: str,
    change: Callable[[Settings], Settings],
    must_exist: bool = False,
    once: IdempotencyClaim | None = None,
) -> Settings:
    """Set what `change` makes of what is set now; the caller is authorised already. A path that holds
    nothing may be given settings before its first version.

    Only the vault's owner changes `max_versions`, since versions beyond it are destroyed for good, at once.
    Raises InvalidInput, Forbidden, NotFound with `must_exist` where there is nothing, StillRunning.
    """
    now = _present(vault_id, path)
    is_owners = change(now).max_versions != now.max_versions
    if is_owners:
        require_owner(caller=caller, vault_id=vault_id, action="secret.configure", path=path)
    with audited_transaction("secret.configure", caller=caller, vault_id=vault_id, path=path):
        if must_exist and not Secret.objects.filter(vault_id=vault_id, path=path).exists():
            raise NotFound(NO_SECRET)
        secret = lock_or_create(vault_id, [path])[path]
        row = settings_of(secret)
        before = read_settings(row)
        wanted = change(before)
        if not is_owners:
            wanted = replace(
                wanted, max_versions=before.max_versions
            )  # its owner may have been faster
        check_settings(wanted)
        _store(secret, row, wanted)
        details = {"path": path} | _told(wanted)
        if wanted.max_versions != before.max_versions and (destroyed := destroy_oldest([secret])):
            details["destroyed"] = destroyed
        record(
            "secret.configure",
            SUCCESS,
            actor=caller.actor,
            resource=Resource("secret", secret.id, vault_id),
            details=details,
        )
        if once is not None:
            once.complete(wanted)
    return wanted


def check_settings(wanted: Settings) -> None:
    """Raises InvalidInput."""
    found: dict[str, list[str]] = {}
    if not 0 <= wanted.max_versions <= MAX_VERSIONS_BOUND:
        found["max_versions"] = [f"This is a whole number from 0 to {MAX_VERSIONS_BOUND}."]
    if not 0 <= wanted.delete_version_after <= LONGEST_LIFE:
        found["delete_version_after"] = ["This is a time from 0 to ten years."]
    notes = wanted.custom_metadata or {}
    if len(notes) > MAX_NOTES or not all(_is_note(*each) for each in notes.items()):
        found["custom_metadata"] = [
            f"At most {MAX_NOTES} texts of {MAX_NOTE_CHARS} characters, with names of 1 to"
            f" {MAX_NOTE_NAME_CHARS} characters, without control, bidirectional and"
            " invisible characters."
        ]
    if found:
        raise InvalidInput(found)


def _is_note(name: Any, text: Any) -> bool:
    return (
        isinstance(name, str)
        and isinstance(text, str)
        and 0 < len(name) <= MAX_NOTE_NAME_CHARS
        and len(text) <= MAX_NOTE_CHARS
        and is_readable(name + text, allow_newlines=False)
    )


def _present(vault_id: UUID, path: str) -> Settings:
    row = SecretSettings.objects.filter(secret__vault_id=vault_id, secret__path=path).first()
    return read_settings(row)


def _store(secret: Secret, row: SecretSettings | None, wanted: Settings) -> None:
    now = timezone.now()
    stored = row or SecretSettings(secret=secret, vault_id=secret.vault_id, created_at=now)
    stored.max_versions = wanted.max_versions
    stored.cas_required = wanted.cas_required
    stored.delete_version_after = wanted.delete_version_after
    stored.custom_metadata = (
        None if wanted.custom_metadata is None else dict(wanted.custom_metadata)
    )
    stored.updated_at = now
    stored.save(force_insert=row is None)


def _told(wanted: Settings) -> dict[str, Any]:
    """For the log: notes are not repeated, they may say anything."""
    return {
        "max_versions": wanted.max_versions,
        "cas_required": wanted.cas_required,
        "delete_version_after": wanted.delete_version_after,
    }

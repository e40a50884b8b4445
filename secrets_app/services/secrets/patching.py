"""Changing a part of a value: the next version is made of the current one, and of no other."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import F
from django.utils import timezone

from secrets_app.crypto.plaintext import Plaintext
from secrets_app.errors import NotFound
from secrets_app.models import SecretVersion
from secrets_app.models.secret import versions_with_rows
from secrets_app.services.audit import record_all
from secrets_app.services.caller import Caller
from secrets_app.services.sealing.vault_keys import active_vault_key
from secrets_app.services.secrets import preconditions
from secrets_app.services.secrets.lookup import NO_SECRET, check_available, find_version
from secrets_app.services.secrets.preconditions import Precondition
from secrets_app.services.secrets.reveal import open_version
from secrets_app.services.secrets.write import NewVersion, add_version, lock_or_create, write_event
from secrets_app.services.transactions.audited import audited, audited_transaction
from secrets_app.services.transactions.retry import retried


@dataclass(frozen=True, slots=True)
class Content:
    """A value and its type."""

    type: str
    value: Plaintext


@retried
def patch_secret(
    *,
    caller: Caller,
    vault_id: UUID,
    path: str,
    change: Callable[[Content], Content],
    expect: Precondition = preconditions.NONE,
) -> SecretVersion:
    """Store what `change` makes of the current version; the caller is authorised already to write and to
    read.

    Nobody is shown the value, so no access is spent; but what bounds the old version bounds the new one:
    it keeps expiry, metadata and rotation policy. The accesses that were left move to it from the old one.
    Raises NotFound, Unavailable, PreconditionFailed, PreconditionRequired, OpenError, ProviderError, and
    what `change` raises.
    """
    vault_key = active_vault_key(vault_id=vault_id)
    with audited("secret.write", caller=caller, vault_id=vault_id, path=path):
        # Opened before anything is locked, so that a key provider has given its key by then.
        _open(find_version(vault_id=vault_id, path=path, number=None))
    with audited_transaction("secret.write", caller=caller, vault_id=vault_id, path=path):
        secret = lock_or_create(vault_id, [path])[path]
        if secret.current_version == 0 or secret.deleted_at is not None:
            raise NotFound(NO_SECRET)
        expect.check(secret)
        current = (
            versions_with_rows(vault_id)
            .select_for_update(of=("self",))  # so that nobody spends an access meanwhile
            .get(secret=secret, number=secret.current_version)
        )
        new = change(Content(current.type, _open(current)))
        left = None
        if current.max_access_count is not None:
            left = current.max_access_count - current.access_count
        following = NewVersion(
            type=new.type,
            value=new.value,
            metadata=current.metadata,
            expires_at=current.expires_at,
            rotation_policy=current.rotation_policy,
            max_access_count=left,
        )
        if left is not None:
            # They move: nothing is left to read of the version before, nor to a reader who waits now.
            SecretVersion.objects.filter(pk=current.pk).update(access_count=F("max_access_count"))
        version = add_version(secret, following, vault_key=vault_key, created_by_id=caller.id)
        record_all([write_event(version, "secret.write")], actor=caller.actor)
    return version


def _open(version: SecretVersion) -> Plaintext:
    check_available(version, now=timezone.now())
    return open_version(version)

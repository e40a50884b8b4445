"""Provide the key of the audit log. The first event generates it, and a root key wraps it.

A process unwraps it once and keeps it, so that events can be written while a key provider does not
answer.
"""

from django.db import transaction

from secrets_app.crypto.audit_key import AuditKey as OpenedKey
from secrets_app.errors import OpenError
from secrets_app.keys import keyring
from secrets_app.models import AuditKey

Numbered = tuple[int, OpenedKey]

_kept: Numbered | None = None


def current_audit_key() -> Numbered:
    """Return the number of the newest key, and the key. Raises OpenError, ProviderError."""
    if _kept is not None:
        return _kept
    row = AuditKey.objects.order_by("-number").first() or _generate()
    opened = (row.number, keyring().open_audit_key(row.wrapped_key()))
    # Kept only after the commit: this transaction may have made the row, and may be rolled back.
    transaction.on_commit(lambda: _keep(opened))
    return opened


def prepare_audit_key() -> None:
    """Load the key before the first event, outside a transaction. Raises as `current_audit_key`."""
    _keep(current_audit_key())


def opened_audit_keys() -> tuple[dict[int, OpenedKey], list[int]]:
    """Return all keys by number, and the numbers of altered ones. Raises ProviderError.

    A key is altered if it does not open, or if its row has another public key.
    """
    opened, altered = {}, []
    for row in AuditKey.objects.order_by("number"):
        try:
            key = opened[row.number] = keyring().open_audit_key(row.wrapped_key())
            fits = key.public_key == bytes(row.public_key)
        except (OpenError, TypeError):  # TypeError: a column is not bytes
            fits = False
        if not fits:
            altered.append(row.number)
    return opened, altered


def _generate() -> AuditKey:
    ring = keyring()
    wrapped = ring.create_audit_key(1)
    opened = ring.open_audit_key(wrapped)
    row = AuditKey(
        number=wrapped.number,
        root_key_id=wrapped.root_key_id,
        wrapped=wrapped.blob,
        public_key=opened.public_key,
    )
    # Of two processes that come first, one inserts its key; the other waits here and takes that one.
    AuditKey.objects.bulk_create([row], ignore_conflicts=True)
    return AuditKey.objects.get(number=row.number)


def _keep(opened: Numbered) -> None:
    global _kept
    _kept = opened


def forget_audit_key() -> None:
    """Load the key again at its next use."""
    global _kept
    _kept = None

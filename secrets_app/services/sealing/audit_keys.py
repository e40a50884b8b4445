"""The secret behind the audit log: drawn with the first event there is, wrapped by a root key.

A process asks for it once and keeps it: events have to be written while a key provider is away, too.
"""

from django.db import transaction

from secrets_app.crypto.audit_key import AuditKey as OpenedKey
from secrets_app.errors import OpenError
from secrets_app.keys import keyring
from secrets_app.models import AuditKey

Numbered = tuple[int, OpenedKey]

_kept: Numbered | None = None


def current_audit_key() -> Numbered:
    """The newest key and its number. Raises OpenError, ProviderError."""
    if _kept is not None:
        return _kept
    row = AuditKey.objects.order_by("-number").first() or _draw()
    opened = (row.number, keyring().open_audit_key(row.wrapped_key()))
    # A row that this very transaction made may still be rolled back.
    transaction.on_commit(lambda: _keep(opened))
    return opened


def prepare_audit_key() -> None:
    """Have the key at hand before the first event, outside a transaction. Raises as above."""
    _keep(current_audit_key())


def opened_audit_keys() -> tuple[dict[int, OpenedKey], list[int]]:
    """All keys by number, and the numbers of those that do not open or stand there with another public
    key: altered ones. Raises ProviderError."""
    opened, altered = {}, []
    for row in AuditKey.objects.order_by("number"):
        try:
            key = opened[row.number] = keyring().open_audit_key(row.wrapped_key())
            fits = key.public_key == bytes(row.public_key)
        except (OpenError, TypeError):  # TypeError: there are no bytes
            fits = False
        if not fits:
            altered.append(row.number)
    return opened, altered


def _draw() -> AuditKey:
    ring = keyring()
    wrapped = ring.create_audit_key(1)
    opened = ring.open_audit_key(wrapped)
    row = AuditKey(
        number=wrapped.number,
        root_key_id=wrapped.root_key_id,
        wrapped=wrapped.blob,
        public_key=opened.public_key,
    )
    # Of two that come first, one draws the key; the other waits for it here and takes it.
    AuditKey.objects.bulk_create([row], ignore_conflicts=True)
    return AuditKey.objects.get(number=row.number)


def _keep(opened: Numbered) -> None:
    global _kept
    _kept = opened


def forget_audit_key() -> None:
    """Ask for it anew at the next use."""
    global _kept
    _kept = None

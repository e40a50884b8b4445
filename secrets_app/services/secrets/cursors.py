"""Where a page of a list ended, as a text that only this service can read.

A cursor is a box of AES-256-GCM over the time it was made (8 bytes, seconds) and the path that the page
ended at, in base64url without padding (RFC 4648, 5). It is bound to its holder and to all that decides
which rows follow. So nobody can make one up, and a stolen one is of no use to another principal.
"""

import base64
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from secrets_app.crypto.aead import OVERHEAD_BYTES, Cipher
from secrets_app.errors import InvalidInput, OpenError
from secrets_app.policy.path import MAX_PATH_CHARS
from secrets_app.services.sealing.audit_keys import current_audit_key

CURSOR_LIFE_S = 24 * 60 * 60
_TIME_BYTES = 8
MAX_CURSOR_CHARS = -(-(OVERHEAD_BYTES + _TIME_BYTES + MAX_PATH_CHARS) * 4 // 3)
# One answer for every reason.
NOT_A_CURSOR = "This is not a cursor of this list, or not any more. Start anew."


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursors:
    """The cursors of one list for one caller. `question`: an encoding of all else that decides which rows
    follow. `now` is timezone-aware."""

    principal_id: UUID
    vault_id: UUID
    question: bytes
    now: datetime

    def seal(self, path: str) -> str:
        """Make the cursor of a page that ended at `path`. Raises OpenError, ProviderError."""
        content = int(self.now.timestamp()).to_bytes(_TIME_BYTES, "big") + path.encode()
        box = self._cipher().encrypt(content, self.question)
        return base64.urlsafe_b64encode(box).rstrip(b"=").decode()

    def open(self, cursor: str) -> str:
        """Return the path in a cursor that was made for this list and caller within the last day.

        Raises InvalidInput, the same for every reason; OpenError, ProviderError when there is no key.
        """
        cipher = self._cipher()
        try:
            content = cipher.decrypt(_box(cursor), self.question)
        except (OpenError, ValueError):
            raise InvalidInput({"cursor": [NOT_A_CURSOR]}) from None
        age_s = int(self.now.timestamp()) - int.from_bytes(content[:_TIME_BYTES], "big")
        if age_s > CURSOR_LIFE_S:
            raise InvalidInput({"cursor": [NOT_A_CURSOR]})
        return content[_TIME_BYTES:].decode()

    def _cipher(self) -> Cipher:
        _, key = current_audit_key()
        return key.cursor_cipher(self.principal_id.bytes + self.vault_id.bytes)


def _box(cursor: str) -> bytes:
    """Raises ValueError for any spelling but the one that `seal_cursor` writes."""
    box = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    if base64.urlsafe_b64encode(box).rstrip(b"=").decode() != cursor:
        raise ValueError
    return box

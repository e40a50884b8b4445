"""Lay out the bytes of a sealed value, as stored in one column.

    offset  length  content
    0       1       format version, 0x01
    1       60      wrapped DEK: nonce (12), AES-256-GCM of the 32-byte DEK under the vault's KEK, tag (16)
    61      12      nonce of the value
    73      n       AES-256-GCM of the value under the DEK
    73+n    16      tag of the value

`context.py` defines what both boxes are bound to. A column of the row names the KEK.
Test vectors: `tests/crypto/vectors.json`.
"""

from dataclasses import dataclass

from secrets_app.crypto.aead import KEY_BYTES, OVERHEAD_BYTES
from secrets_app.errors import EnvelopeError

FORMAT_VERSION = 1
WRAPPED_DEK_BYTES = KEY_BYTES + OVERHEAD_BYTES
HEADER_BYTES = 1 + WRAPPED_DEK_BYTES
# The longest envelope to parse, far above the highest MAX_VALUE_BYTES.
MAX_ENVELOPE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Envelope:
    wrapped_dek: bytes
    box: bytes

    def to_bytes(self) -> bytes:
        return bytes((FORMAT_VERSION,)) + self.wrapped_dek + self.box

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Envelope":
        """Parse stored bytes. Raises EnvelopeError for an unknown version or impossible length."""
        if not HEADER_BYTES + OVERHEAD_BYTES <= len(raw) <= MAX_ENVELOPE_BYTES:
            raise EnvelopeError
        if raw[0] != FORMAT_VERSION:
            raise EnvelopeError
        return cls(wrapped_dek=raw[1:HEADER_BYTES], box=raw[HEADER_BYTES:])

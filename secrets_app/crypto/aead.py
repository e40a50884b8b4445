"""Encrypt with AES-256-GCM (NIST SP 800-38D). No other module touches its primitive.

Every box is `nonce (12 bytes) | ciphertext | tag (16 bytes)`. Each call takes a random nonce from the
operating system; under one key that is safe for 2**32 boxes (SP 800-38D, 8.3).
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from secrets_app.errors import OpenError

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES


def generate_key() -> bytes:
    """Return a new 256-bit key from the operating system's random source."""
    return AESGCM.generate_key(bit_length=256)


class Cipher:
    """An AES-256-GCM key, ready for use. The key cannot be read back from it."""

    __slots__ = ("_aesgcm",)

    def __init__(self, key: bytes) -> None:
        """Take a key of exactly 32 bytes; raises ValueError for any other length."""
        if len(key) != KEY_BYTES:
            raise ValueError("an AES-256 key is 32 bytes long")
        self._aesgcm = AESGCM(key)

    def encrypt(self, plaintext: bytes, aad: bytes) -> bytes:
        """Encrypt `plaintext` and bind it to `aad`. Returns nonce, ciphertext and tag."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aesgcm.encrypt(nonce, plaintext, aad)

    def decrypt(self, box: bytes, aad: bytes) -> bytes:
        """Decrypt a box of `encrypt`. Raises OpenError unless key, bytes and `aad` all fit."""
        if len(box) < OVERHEAD_BYTES:
            raise OpenError
        try:
            return self._aesgcm.decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], aad)
        except InvalidTag:
            raise OpenError from None

"""Derive six keys from the secret behind the audit log.

One makes the MAC of each event, one signs seals, one seals the secrets of second factors, one makes those
of earlier releases, one seals the cursors of lists, and one makes the MAC of challenges to passkeys. Each
is HKDF-Expand (RFC 5869, 2.3) of the secret, which is random and so needs no extraction.
"""

import hashlib
import hmac

from secrets_app.crypto.aead import Cipher
from secrets_app.crypto.signing import Signer

MAC_BYTES = 32
# The length that RFC 4226, 4 (R6) recommends.
SEED_BYTES = 20


class AuditKey:
    """The derived keys. Safe to share between threads; the repr shows nothing."""

    def __init__(self, secret: bytes) -> None:
        self._mac_key = _expand(secret, b"vaultsite/v1/audit-mac")
        self._signer = Signer(_expand(secret, b"vaultsite/v1/audit-seal"))
        self._seed_key = _expand(secret, b"vaultsite/v1/second-factor")
        self._factor_cipher = Cipher(_expand(secret, b"vaultsite/v1/second-factor-seal"))
        self._cursor_key = _expand(secret, b"vaultsite/v1/list-cursor")
        self._challenge_key = _expand(secret, b"vaultsite/v1/challenge")

    @property
    def public_key(self) -> bytes:
        """Return the raw Ed25519 key (32 bytes) that verifies seals."""
        return self._signer.public_key

    def mac(self, content: bytes) -> bytes:
        """Return the HMAC-SHA-256 of an event's content."""
        return hmac.digest(self._mac_key, content, hashlib.sha256)

    def has_mac(self, content: bytes, mac: bytes) -> bool:
        """Tell whether `mac` is that of an event's content, in constant time."""
        return hmac.compare_digest(self.mac(content), mac)

    def sign(self, content: bytes) -> bytes:
        """Return the Ed25519 signature (64 bytes) of a seal's content."""
        return self._signer.sign(content)

    def seed(self, salt: bytes) -> bytes:
        """Return the seed (20 bytes) of the second factor with this salt."""
        return hmac.digest(self._seed_key, salt, hashlib.sha256)[:SEED_BYTES]

    @property
    def factor_cipher(self) -> Cipher:
        """Return the cipher for the secrets of second factors. A random nonce is enough: there are few."""
        return self._factor_cipher

    def cursor_cipher(self, holder: bytes) -> Cipher:
        """Return the cipher for the cursors of one `holder`. A key for each keeps random nonces far below
        the bound of a key (SP 800-38D, 8.3).
        """
        return Cipher(_expand(self._cursor_key, holder))

    def challenge_mac(self, content: bytes) -> bytes:
        """Return the HMAC-SHA-256 of a challenge to a passkey."""
        return hmac.digest(self._challenge_key, content, hashlib.sha256)

    def has_challenge_mac(self, content: bytes, mac: bytes) -> bool:
        """Tell whether `mac` is that of a challenge, in constant time."""
        return hmac.compare_digest(self.challenge_mac(content), mac)


def _expand(secret: bytes, purpose: bytes) -> bytes:
    return hmac.digest(secret, purpose + b"\x01", hashlib.sha256)

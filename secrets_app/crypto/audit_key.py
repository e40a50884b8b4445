"""The secret behind the audit log. Two keys come of it: one for the MAC of each event, one that signs
seals. Each is HKDF-Expand (RFC 5869, 2.3) of the secret, which is random and needs no extracting."""

import hashlib
import hmac

from secrets_app.crypto.signing import Signer

MAC_BYTES = 32


class AuditKey:
    """Safe to share between threads. Its repr shows nothing."""

    def __init__(self, secret: bytes) -> None:
        self._mac_key = _expand(secret, b"vaultsite/v1/audit-mac")
        self._signer = Signer(_expand(secret, b"vaultsite/v1/audit-seal"))

    @property
    def public_key(self) -> bytes:
        """The raw Ed25519 key (32 bytes) that seals are checked with."""
        return self._signer.public_key

    def mac(self, content: bytes) -> bytes:
        """HMAC-SHA-256 of an event's content."""
        return hmac.digest(self._mac_key, content, hashlib.sha256)

    def has_mac(self, content: bytes, mac: bytes) -> bool:
        return hmac.compare_digest(self.mac(content), mac)

    def sign(self, content: bytes) -> bytes:
        """The Ed25519 signature (64 bytes) of a seal's content."""
        return self._signer.sign(content)


def _expand(secret: bytes, purpose: bytes) -> bytes:
    return hmac.digest(secret, purpose + b"\x01", hashlib.sha256)

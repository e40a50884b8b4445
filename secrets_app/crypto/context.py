"""Define what a ciphertext is bound to: the additional authenticated data (AAD).

Every context is a list of parts, and each part is encoded as its length (4 bytes, big-endian) and its
bytes. The first part is a label that says what is sealed, so that a context of one kind cannot be taken
for one of another. Different lists of parts never have the same encoding.

    value  "vaultsite/v1/value", vault id (16), secret id (16), path (UTF-8), version (8), type (UTF-8)
    dek    "vaultsite/v1/dek",   the same five
    kek    "vaultsite/v1/kek",   vault id (16), key version (8)
    digest "vaultsite/v1/digest", label, vault id (16), key version (8)
    audit  "vaultsite/v1/audit-key", key number (8)
"""

from dataclasses import dataclass
from functools import cached_property
from uuid import UUID


def encode_parts(*parts: bytes) -> bytes:
    """Return the canonical, length-prefixed encoding of `parts` (each under 4 GiB)."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


@dataclass(frozen=True, slots=True)
class WrappedKek:
    """A vault's key-encryption key as it is in the database: wrapped by a root key."""

    vault_id: UUID
    version: int
    root_key_id: str
    blob: bytes

    def aad(self) -> bytes:
        return kek_aad(self.vault_id, self.version)


@dataclass(frozen=True, slots=True)
class WrappedAuditKey:
    """The secret behind the audit log as it is in the database: wrapped by a root key."""

    number: int
    root_key_id: str
    blob: bytes

    def aad(self) -> bytes:
        return encode_parts(b"vaultsite/v1/audit-key", self.number.to_bytes(8, "big"))


def kek_aad(vault_id: UUID, version: int) -> bytes:
    """Return the context of a wrapped KEK."""
    return encode_parts(b"vaultsite/v1/kek", vault_id.bytes, version.to_bytes(8, "big"))


def digest_aad(label: bytes, kek: WrappedKek) -> bytes:
    """Return the context of a digest that is sealed under a KEK."""
    version = kek.version.to_bytes(8, "big")
    return encode_parts(b"vaultsite/v1/digest", label, kek.vault_id.bytes, version)


@dataclass(frozen=True)
class EncryptionContext:
    """The place of a secret version, and the KEK that it is sealed under."""

    vault_id: UUID
    secret_id: UUID
    path: str
    version: int
    type: str
    kek: WrappedKek

    def value_aad(self) -> bytes:
        return self._aad(b"vaultsite/v1/value")

    def dek_aad(self) -> bytes:
        return self._aad(b"vaultsite/v1/dek")

    def _aad(self, label: bytes) -> bytes:
        return encode_parts(label) + self._place

    @cached_property
    def _place(self) -> bytes:
        return encode_parts(
            self.vault_id.bytes,
            self.secret_id.bytes,
            self.path.encode(),
            self.version.to_bytes(8, "big"),
            self.type.encode(),
        )

"""Sign and verify with Ed25519 (RFC 8032). Keys are PEM files (RFC 8410)."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)


def generate_signing_key_pem() -> bytes:
    """Return a new private key as unencrypted PKCS #8 PEM, for a file that only its owner reads."""
    return Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


class Signer:
    """Signs with a private key of 32 random bytes (RFC 8032, 5.1.5)."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, content: bytes) -> bytes:
        """Return the signature (64 bytes) of a content."""
        return self._key.sign(content)


def is_signed(content: bytes, signature: bytes, public_key: bytes) -> bool:
    """Tell whether a raw Ed25519 public key made a signature. Malformed ones give False."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def public_key_pem(key: Ed25519PublicKey) -> str:
    """Return a public key in PEM (RFC 8410)."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def public_key_of(private_pem: bytes) -> bytes:
    """Return the public half of a private key, both in PEM. Raises ValueError for anything else."""
    key = load_pem_private_key(private_pem, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 key")
    return public_key_pem(key.public_key()).encode()

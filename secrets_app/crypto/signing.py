"""Ed25519 signing keys (RFC 8032), as PEM files (RFC 8410)."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


def generate_signing_key_pem() -> bytes:
    """A fresh private key as unencrypted PKCS #8 PEM, meant for a file that only its owner reads."""
    return Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )

"""Seal the secrets of second factors with a key that the root key wraps.

What a project stores is text of one of two forms. `sealed:<number>:<box>`: the secret under AES-256-GCM
(`secrets_app/crypto/aead.py`), base64url. `derived:<number>:<salt>`: of earlier releases, where the secret
is made of a salt, in hexadecimal digits. The number is that of the audit key that opens it. The database
alone gives no secret, and a rotation of the root key has nothing to rewrap here.
"""

from base64 import b32encode, urlsafe_b64decode, urlsafe_b64encode

from secrets_app.crypto.audit_key import AuditKey
from secrets_app.errors import OpenError
from secrets_app.services.sealing.audit_keys import current_audit_key, opened_audit_keys

_AAD = b"vaultsite second factor"


def seal_factor(secret: str) -> str:
    """Return the secret of a second factor as it is stored. Raises OpenError, ProviderError."""
    number, key = current_audit_key()
    box = key.factor_cipher.encrypt(secret.encode(), _AAD)
    return f"sealed:{number}:{urlsafe_b64encode(box).decode()}"


def open_factor(stored: str) -> str:
    """Return the secret of what is stored, a derived one as base32. Raises OpenError, ProviderError."""
    try:
        form, number, rest = stored.split(":")
        key = _key(int(number))
        if form == "derived":
            return b32encode(key.seed(bytes.fromhex(rest))).decode()
        if form == "sealed":
            return key.factor_cipher.decrypt(urlsafe_b64decode(rest), _AAD).decode()
    except ValueError:
        pass
    raise OpenError


def _key(wanted: int) -> AuditKey:
    number, key = current_audit_key()
    if number == wanted:
        return key
    older, _ = opened_audit_keys()
    if wanted not in older:
        raise OpenError
    return older[wanted]

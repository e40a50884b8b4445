"""Seeds of second factors: made from a salt and a key that is wrapped by the root key.

A project keeps the salt. Whoever has the database alone cannot make the seed of it, and there is
nothing to rewrap when the root key is rotated.
"""

import os

from secrets_app.errors import OpenError
from secrets_app.services.sealing.audit_keys import current_audit_key, opened_audit_keys

SALT_BYTES = 32


def draw_salt() -> tuple[int, bytes]:
    """A new salt, and the number of the key to use with it. Raises OpenError, ProviderError."""
    number, _ = current_audit_key()
    return number, os.urandom(SALT_BYTES)


def seed_of(*, key_number: int, salt: bytes) -> bytes:
    """The seed, 20 bytes, to be shown once and never stored. Raises OpenError, ProviderError."""
    number, key = current_audit_key()
    if number != key_number:
        older, _ = opened_audit_keys()
        if key_number not in older:
            raise OpenError
        key = older[key_number]
    return key.seed(salt)

"""Derive the seeds of second factors from a salt and a key that the root key wraps.

A project stores the salt. The database alone does not give the seed, and a rotation of the root key has
nothing to rewrap here.
"""

import os

from secrets_app.errors import OpenError
from secrets_app.services.sealing.audit_keys import current_audit_key, opened_audit_keys

SALT_BYTES = 32


def generate_salt() -> tuple[int, bytes]:
    """Return the number of the key to use, and a new salt. Raises OpenError, ProviderError."""
    number, _ = current_audit_key()
    return number, os.urandom(SALT_BYTES)


def seed_of(*, key_number: int, salt: bytes) -> bytes:
    """Derive the seed (20 bytes), to be shown once and never stored. Raises OpenError, ProviderError."""
    number, key = current_audit_key()
    if number != key_number:
        older, _ = opened_audit_keys()
        if key_number not in older:
            raise OpenError
        key = older[key_number]
    return key.seed(salt)

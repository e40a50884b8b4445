"""Say what is stored of a secret that people, devices and agents hold, in place of the secret itself.

These secrets are random and long, so one SHA-256 is enough: there is nothing to guess.
"""

import hashlib


def digest_of(secret: str) -> str:
    """Return the SHA-256 of a secret, in hexadecimal digits: what is stored and what it is found by."""
    return hashlib.sha256(secret.encode()).hexdigest()

"""Hash passwords with Argon2 (RFC 9106), a few at a time."""

import threading

from django.contrib.auth.hashers import Argon2PasswordHasher

# One hash takes 100 MiB and a core. More at once would not be faster, and what strangers send must not
# decide how much memory is taken.
MOST_AT_ONCE = 4
_room = threading.BoundedSemaphore(MOST_AT_ONCE)


class BoundedArgon2PasswordHasher(Argon2PasswordHasher):
    """Hashes at most `MOST_AT_ONCE` passwords of a process at once. Others wait for their turn."""

    def encode(self, password: str, salt: str) -> str:
        with _room:
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with _room:
            return super().verify(password, encoded)

"""Make the challenges that passkeys sign, without keeping them: anybody may ask for one.

A challenge is the time it ends (8 bytes, seconds), 16 random bytes, and a MAC over both and over what it is
for. Only one that was answered rightly is kept, until it ends, so that it is not answered twice.
"""

import os
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from secrets_app.crypto.audit_key import MAC_BYTES
from secrets_app.services.sealing.audit_keys import current_audit_key

LIFE_S = 300
_TIME_BYTES, _RANDOM_BYTES = 8, 16
CHALLENGE_BYTES = _TIME_BYTES + _RANDOM_BYTES + MAC_BYTES

SIGN_IN = b"sign-in"


def make_challenge(*, purpose: bytes) -> bytes:
    """Return a new challenge. `purpose` is all that it is bound to. Raises OpenError, ProviderError."""
    end = timezone.now() + timedelta(seconds=LIFE_S)
    content = int(end.timestamp()).to_bytes(_TIME_BYTES, "big") + os.urandom(_RANDOM_BYTES)
    _, key = current_audit_key()
    return content + key.challenge_mac(purpose + content)


def end_of_challenge(challenge: bytes, *, purpose: bytes) -> datetime | None:
    """Return when a challenge ends. None if it has, or was not made here for this.

    Raises OpenError, ProviderError.
    """
    if len(challenge) != CHALLENGE_BYTES:
        return None
    content, mac = challenge[:-MAC_BYTES], challenge[-MAC_BYTES:]
    _, key = current_audit_key()
    if not key.has_challenge_mac(purpose + content, mac):
        return None
    end = datetime.fromtimestamp(int.from_bytes(content[:_TIME_BYTES], "big"), UTC)
    return end if end > timezone.now() else None

"""Make primary keys that rise with time, so that inserts into a large index stay in one place."""

import os
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def uuid7(at: datetime | None = None) -> UUID:
    """Make a version 7 UUID (RFC 9562, 5.7) of now or of a given time.

    It consists of 48 bits of milliseconds, 12 bits of the millisecond's fraction (6.2, method 3), by
    which ids sort in the order of events, and 62 random bits.
    """
    microseconds = time.time_ns() // 1000 if at is None else _microseconds(at)
    milliseconds, rest = divmod(microseconds, 1000)
    fraction = rest * 4096 // 1000
    raw = bytearray(milliseconds.to_bytes(6, "big") + os.urandom(10))
    raw[6] = 0x70 | fraction >> 8
    raw[7] = fraction & 0xFF
    raw[8] = 0x80 | raw[8] & 0x3F
    return UUID(bytes=bytes(raw))


def first_uuid7(at: datetime) -> UUID:
    """Return the smallest UUID of the millisecond of `at`, as the bound of a range."""
    return UUID(int=max(0, _microseconds(at) // 1000) << 80)


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND

"""Primary keys that grow with time, so that inserts into a large index stay local."""

import os
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def uuid7(at: datetime | None = None) -> UUID:
    """A version 7 UUID (RFC 9562, 5.7) of now or a given time: 48 bits of milliseconds, 12 of the
    millisecond's parts (6.2, method 3), so that what happened one after the other is sorted so, then 62
    random bits."""
    microseconds = time.time_ns() // 1000 if at is None else _microseconds(at)
    milliseconds, rest = divmod(microseconds, 1000)
    parts = rest * 4096 // 1000
    raw = bytearray(milliseconds.to_bytes(6, "big") + os.urandom(10))
    raw[6] = 0x70 | parts >> 8
    raw[7] = parts & 0xFF
    raw[8] = 0x80 | raw[8] & 0x3F
    return UUID(bytes=bytes(raw))


def first_uuid7(at: datetime) -> UUID:
    """The smallest that is made in the millisecond of `at`, for ranges."""
    return UUID(int=max(0, _microseconds(at) // 1000) << 80)


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND

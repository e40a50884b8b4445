"""Primary keys that grow with time, so that inserts into a large index stay local."""

import os
import time
from datetime import datetime
from uuid import UUID


def uuid7(at: datetime | None = None) -> UUID:
    """A version 7 UUID (RFC 9562, 5.7) of now or a given time: 48 bits of milliseconds, then 74 random
    bits."""
    milliseconds = time.time_ns() // 1_000_000 if at is None else _milliseconds(at)
    raw = bytearray(milliseconds.to_bytes(6, "big") + os.urandom(10))
    raw[6] = 0x70 | raw[6] & 0x0F
    raw[8] = 0x80 | raw[8] & 0x3F
    return UUID(bytes=bytes(raw))


def first_uuid7(at: datetime) -> UUID:
    """The smallest that is made in the millisecond of `at`, for ranges."""
    return UUID(int=max(0, _milliseconds(at)) << 80)


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)

"""Primary keys that grow with time, so that inserts into a large index stay local."""

import os
import time
from uuid import UUID


def uuid7() -> UUID:
    """A version 7 UUID (RFC 9562, 5.7): 48 bits of milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    raw = bytearray(milliseconds.to_bytes(6, "big") + os.urandom(10))
    raw[6] = 0x70 | raw[6] & 0x0F
    raw[8] = 0x80 | raw[8] & 0x3F
    return UUID(bytes=bytes(raw))

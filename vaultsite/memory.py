"""Memory that is freed goes back to the system, where the C library is glibc."""

import ctypes
import sys
from contextlib import suppress

_M_MMAP_THRESHOLD = -3  # malloc.h
_LARGE_BYTES = 256 * 1024


def give_back_what_is_freed() -> None:
    """Have large blocks mapped one by one, so that each goes back to the system when it is freed.

    glibc does so at first, but takes the size of each block that is freed for the size up to which blocks
    are kept, in an arena for each thread (mallopt(3), M_MMAP_THRESHOLD): after one large batch a process
    would stay large. A bound that is set stays as it is.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)

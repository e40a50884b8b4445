"""How much memory the batches of a process may take at once.

A batch brings many values, so a few of them could take all there is. What one holds is counted before it
is fetched or parsed, in bytes of values or of the request's body. Who does not fit waits in order of
arrival, a few and not for long, since a waiting request keeps a thread.
"""

import threading
import time
from collections import deque
from contextlib import suppress

from secrets_app.conf import app_settings
from secrets_app.errors import TooManyRequests
from secrets_app.sql.compiled import this_database

MOST_WAITING = 8
LONGEST_WAIT_S = 5.0
_RETRY_AFTER_S = 2
# A body is in memory as bytes, as text, as values, sealed, and as the statement that stores them.
_TIMES_A_BODY = 3
_LARGE_BODY_BYTES = 1024 * 1024


class _Budget:
    """Bytes that are taken and given back. First come, first served, so that a large batch is not passed by
    small ones for ever."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = 0
        self._queue: deque[object] = deque()

    def take(self, size: int) -> None:
        """Take bytes of the budget. Raises TooManyRequests when too many wait already, or after
        LONGEST_WAIT_S.
        """
        if not size:
            return
        ticket, deadline = object(), time.monotonic() + LONGEST_WAIT_S
        with self._changed:
            if self._queue and len(self._queue) >= MOST_WAITING:
                raise TooManyRequests(_RETRY_AFTER_S)
            self._queue.append(ticket)
            try:
                while self._queue[0] is not ticket or not self._has_room(size):
                    if not self._changed.wait(deadline - time.monotonic()):
                        raise TooManyRequests(_RETRY_AFTER_S)
                self._taken += size
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def give_back(self, size: int) -> None:
        with self._changed:
            self._taken -= size
            self._changed.notify_all()

    def _has_room(self, size: int) -> bool:
        # What is larger than all of it has it for itself.
        return not self._taken or self._taken + size <= app_settings.BATCH_MEMORY_BYTES


_budget = _Budget()


class Share:
    """What one request has of the budget: taken once it is known how much, given back at the end.

    A request has one and takes one thing at a time, so no two can wait for each other.
    """

    def __init__(self) -> None:
        self._size = 0

    def take(self, size: int) -> None:
        """Take `size` bytes in place of what was taken before.

        Waits until there is room. Raises TooManyRequests when that takes too long.
        """
        self.give_back()
        _budget.take(size)
        self._size = size

    def take_for_body(self, size: int) -> None:
        """The same for a body of `size` bytes that is about to be parsed and stored."""
        self.take(size * _TIMES_A_BODY)
        if size > _LARGE_BODY_BYTES:
            # PostgreSQL's library keeps a buffer of the size of the longest statement for as long as the
            # connection is kept. So this one is closed when the request ends.
            this_database().close_at = time.monotonic()

    def give_back(self) -> None:
        """Give the bytes back. May be called more than once."""
        size, self._size = self._size, 0
        if size:
            _budget.give_back(size)

    def __del__(self) -> None:
        with suppress(Exception):  # an answer that nobody closed
            self.give_back()

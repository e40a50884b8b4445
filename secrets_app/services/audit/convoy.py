"""Events of several requests, committed with one statement.

Each request waits for the commit of its own event, and answers after it. But while one statement is under
way, those who come meanwhile gather, and the next of them to get its turn writes for all.
"""

import threading
from collections.abc import Sequence

from django.db import InterfaceError

from secrets_app.models import AuditEvent
from secrets_app.models.prepared import this_database
from secrets_app.models.together import store


class _Waiting:
    """What one thread has brought, and what became of it."""

    __slots__ = ("error", "is_done", "rows")

    def __init__(self, rows: Sequence[AuditEvent]) -> None:
        self.rows = rows
        self.is_done = False
        self.error: Exception | None = None


_gathering: list[_Waiting] = []
_turn = threading.Lock()


def store_events(rows: Sequence[AuditEvent]) -> None:
    """Insert events; returns when they are committed, or in a transaction at once.

    Raises django.db.DatabaseError, and then only for one's own events.
    """
    if this_database().in_atomic_block:
        store(rows)
        return
    mine = _Waiting(rows)
    _gathering.append(mine)
    with _turn:
        if not mine.is_done:
            _write_all()
    if mine.error is not None:
        raise mine.error


def _write_all() -> None:
    """Write what has gathered. One thread at a time is here, so nobody else writes what it takes."""
    waiting = _gathering[:]
    del _gathering[: len(waiting)]
    try:
        _write(waiting)
    finally:
        for each in waiting:
            if not each.is_done:  # this thread was broken off
                each.error = InterfaceError("The event was not written.")
                each.is_done = True


def _write(waiting: list[_Waiting]) -> None:
    try:
        store([row for each in waiting for row in each.rows])
    except Exception as error:
        if len(waiting) == 1:
            waiting[0].error, waiting[0].is_done = error, True
            return
        for each in waiting:  # nobody fails for another's event
            _write([each])
        return
    for each in waiting:
        each.is_done = True

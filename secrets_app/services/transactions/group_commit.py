"""What several requests want to store, committed together.

Each request waits for the commit of its own, and answers after it. But while one commit is under way,
those who come meanwhile gather, and the next of them to get its turn stores for all. A commit costs far
more than what is committed.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from django.db import InterfaceError, transaction

from secrets_app.models import AuditEvent
from secrets_app.sql.change_with_rows import insert_rows
from secrets_app.sql.compiled import this_database

# In PostgreSQL's words. Who has to wait for a lock longer than that does it alone, not with all others.
_LONGEST_LOCK = "100ms"


class _Waiting:
    """What one thread has brought, and what became of it."""

    __slots__ = ("act", "error", "is_done", "result", "rows")

    def __init__(self, rows: Sequence[AuditEvent], act: Callable[[], bool] | None) -> None:
        self.rows = rows
        self.act = act
        self.result = True
        self.is_done = False
        self.error: Exception | None = None


class _GroupCommit:
    def __init__(self) -> None:
        self._gathering: list[_Waiting] = []
        self._turn = threading.Lock()

    def join(self, mine: _Waiting) -> bool:
        self._gathering.append(mine)
        with self._turn:
            if not mine.is_done:
                self._store_all()
        if mine.error is not None:
            raise mine.error
        return mine.result

    def _store_all(self) -> None:
        """Store what has gathered. One thread at a time is here, so nobody else stores what it takes."""
        waiting = self._gathering[:]
        del self._gathering[: len(waiting)]
        try:
            _store(waiting)
        finally:
            for each in waiting:
                if not each.is_done:  # this thread was broken off
                    each.error = InterfaceError("Nothing was stored.")
                    each.is_done = True


# Two, so that a read never waits for a lock that a write waits for.
_reads, _writes = _GroupCommit(), _GroupCommit()


def commit_events(rows: Sequence[AuditEvent]) -> None:
    """Insert events; returns when they are committed, or in a transaction at once.

    Raises django.db.DatabaseError, and then only for one's own events.
    """
    if this_database().in_atomic_block:
        insert_rows(rows)
    else:
        _reads.join(_Waiting(rows, None))


def commit_statement(act: Callable[[], bool]) -> bool:
    """Have `act`, one statement or a short transaction, carried out by whichever thread's turn it is;
    returns its result when it is committed, or in a transaction at once.

    Raises django.db.DatabaseError, and then only for one's own act.
    """
    return act() if this_database().in_atomic_block else _writes.join(_Waiting((), act))


def _store(waiting: Sequence[_Waiting]) -> None:
    try:
        acts = [each for each in waiting if each.act is not None]
        # Events alone are one statement, and one act is as well.
        with transaction.atomic() if len(acts) > 1 else nullcontext():
            if len(acts) > 1:
                _be_brief()
            _do(waiting)
    except Exception as error:
        if len(waiting) == 1 or _is_connection_lost():
            # Lost in a COMMIT, it may have been stored: it must not be stored once more.
            for each in waiting:
                each.error, each.is_done = error, True
        else:
            for each in waiting:  # nobody fails for another's
                _store([each])
        return
    for each in waiting:
        each.is_done = True


def _is_connection_lost() -> bool:
    connection = this_database().connection
    return connection is None or bool(getattr(connection, "closed", False))


def _do(waiting: Sequence[_Waiting]) -> None:
    rows = [row for each in waiting for row in each.rows]
    if rows:
        insert_rows(rows)
    for each in waiting:
        if each.act is not None:
            each.result = each.act()


def _be_brief() -> None:
    database = this_database()
    if database.vendor == "postgresql":
        with database.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{_LONGEST_LOCK}'")

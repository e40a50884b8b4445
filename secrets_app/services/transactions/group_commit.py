"""Commit the writes of concurrent requests together (group commit).

Each request waits for the commit of its own writes, and answers after it. While one commit is under
way, later requests gather. The next of them to get its turn commits for all, since a commit costs far
more than what is committed.

A request that waits for a lock waits alone. Within a turn nothing waits for a lock longer than
`_LONGEST_LOCK`. A group that fails, for this or any other reason, is undone as a whole. Then each of
its threads runs its own statement by itself, out of turn and beside the others. There it may wait for
as long as somebody holds the lock, while later groups go on. So one held lock costs the others
`_LONGEST_LOCK` for each request that wants it, and no more.

Nothing is stored twice. A statement is run again only after the database has undone it. When the
connection is lost, nobody can know whether the commit took place, and everybody in the group is told.

SQLite has one lock, for the whole database. A group waits for it as a single request would, for at
most the `timeout` of the settings, since until then nobody in any process could write.
"""

import threading
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from django.db import InterfaceError, transaction

from secrets_app.models import AuditEvent
from secrets_app.sql.change_with_rows import Statement, insert_rows
from secrets_app.sql.compiled import this_database

# In PostgreSQL's words. Above what a commit of another process takes, below what anybody notices.
_LONGEST_LOCK = "10ms"
_LOCK_NOT_AVAILABLE = "55P03"  # PostgreSQL, Appendix A


class _Waiting:
    """Hold what one thread wants to commit, and what became of it."""

    __slots__ = ("act", "error", "goes_alone", "is_done", "result", "rows")

    def __init__(self, rows: Sequence[AuditEvent], act: Statement | None) -> None:
        self.rows = rows
        self.act = act
        self.result = True
        self.is_done = False
        self.goes_alone = False
        self.error: Exception | None = None

    def run_alone(self) -> bool:
        """Store it by itself, however long that takes."""
        if self.act is not None:
            return self.act()
        insert_rows(self.rows)
        return True


class _GroupCommit:
    def __init__(self) -> None:
        self._gathering: list[_Waiting] = []
        self._turn = threading.Lock()

    def join(self, mine: _Waiting) -> bool:
        self._gathering.append(mine)
        with self._turn:
            if not mine.is_done:
                self._store_all()
        if mine.goes_alone:
            return mine.run_alone()
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


def commit_statement(act: Statement) -> bool:
    """Have `act`, one statement or a short transaction, carried out by whichever thread's turn it is;
    returns its result when it is committed, or in a transaction at once.

    Raises django.db.DatabaseError, and then only for one's own act.
    """
    return act() if this_database().in_atomic_block else _writes.join(_Waiting((), act))


def _store(waiting: Sequence[_Waiting]) -> None:
    connection = None
    try:
        connection = _connection()
        acts = [each for each in waiting if each.act is not None]
        # Events alone are one statement, and one act is as well.
        with transaction.atomic() if len(acts) > 1 else nullcontext():
            _do(waiting)
    except Exception as error:
        # Lost in a COMMIT, it may have been stored: it must not be stored once more.
        goes_alone = _is_still(connection) and (len(waiting) > 1 or _has_met_a_lock(error))
        for each in waiting:
            each.error, each.goes_alone = error, goes_alone
    for each in waiting:
        each.is_done = True


def _connection() -> Any:
    """The thread's connection, made anew now if the kept one does not hold any more."""
    database = this_database()
    database.close_if_health_check_failed()
    database.ensure_connection()
    return database.connection


def _is_still(connection: Any) -> bool:
    """Whether this is open and still the thread's: when one is lost in a transaction, Django makes another
    at once."""
    is_open = connection is not None and not getattr(connection, "closed", False)
    return is_open and this_database().connection is connection


def _has_met_a_lock(error: Exception) -> bool:
    return getattr(error.__cause__, "sqlstate", None) == _LOCK_NOT_AVAILABLE


def _do(waiting: Sequence[_Waiting]) -> None:
    rows = [row for each in waiting for row in each.rows]
    if rows:
        insert_rows(rows)
    for each in waiting:
        if each.act is not None:
            each.result = each.act(lock_timeout=_LONGEST_LOCK)

"""How many processes `quickstart --serve` starts, and how many threads each of them has."""

import os

from django.core.management.base import CommandError
from django.db import connection

_MOST_WORKERS = 256
# As in deploy/systemd. More would wait for each other, fewer commit less at once.
_THREADS, _FEWEST_THREADS = 32, 4
# Connections of the database that are left for the sealer and for commands.
_SPARE = 5


def count_workers() -> int:
    """Read `WORKERS`. Without it: one for each core and at least two on PostgreSQL, one on SQLite.

    Raises CommandError when it is no number from 1 to 256, or more than one on SQLite, where all
    writers wait for the same lock: there, one process with a group commit does more than several.
    """
    raw = os.environ.get("WORKERS") or ""
    is_sqlite = connection.vendor == "sqlite"
    if not raw:
        return 1 if is_sqlite else max(2, _cores())
    if (
        not raw.isascii()
        or not raw.isdecimal()
        or len(raw) > 3
        or not 0 < int(raw) <= _MOST_WORKERS
    ):
        raise CommandError(f"WORKERS must be a whole number from 1 to {_MOST_WORKERS}.")
    if is_sqlite and int(raw) > 1:
        raise CommandError(
            "SQLite is served by one worker, since its writers wait for each other. For more leave"
            " SQLite for PostgreSQL: set DATABASE_URL."
        )
    return int(raw)


def count_threads(workers: int) -> int:
    """Give each worker 32 threads, or fewer where PostgreSQL would run out of connections.

    Each thread keeps a connection of its own, and PostgreSQL allows 100 unless it is told otherwise.
    """
    if connection.vendor != "postgresql":
        return _THREADS
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('max_connections')::int"
            " - current_setting('superuser_reserved_connections')::int"
        )
        (allowed,) = cursor.fetchone()
    return int(max(_FEWEST_THREADS, min(_THREADS, (allowed - _SPARE) // workers)))


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

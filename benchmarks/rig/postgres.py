"""PostgreSQL as in production: nothing that was committed is lost when the machine stops."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import psycopg

from tests.e2e.server import new_database
from tests.run import postgresql

_SAFE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


@dataclass(frozen=True)
class Database:
    url: str
    pid: int  # of the postmaster
    version: str


@contextmanager
def database() -> Iterator[Database]:
    """A new database on a server of our own, or on that of TEST_DATABASE_URL on this machine."""
    with postgresql() as server, new_database(server) as url:
        assert url
        with psycopg.connect(url, autocommit=True) as connection:
            for name, wanted in _SAFE.items():
                row = connection.execute(f"SHOW {name}").fetchone()
                assert row, name
                if row[0] != wanted:
                    raise SystemExit(f"{name} is {row[0]}: the figures would not count.")
            postmaster = psutil.Process(connection.info.backend_pid).ppid()
            version = connection.info.server_version
        yield Database(url, postmaster, f"{version // 10000}.{version % 10000}")

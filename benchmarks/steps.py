"""What each step of docs/scaling.md gives, on one machine, and what follows for larger ones.

    python -m benchmarks.steps [--rounds 3] [--seconds 4] [--no-publish]

SQLite, one worker, several, a pooler in between, a synchronous cluster: one after the other in turns, with
the processor time of application and database apart. Needs what `benchmarks.failover` needs; about five
minutes.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.failover.cluster import cluster
from benchmarks.rig import report
from benchmarks.rig.pgbouncer import pooled
from benchmarks.rig.postgres import database
from benchmarks.rig.processes import cpu_seconds
from benchmarks.rig.report import median
from benchmarks.rig.service import THREADS, WORKERS, Service, embedded, service
from benchmarks.rig.wrk import load
from benchmarks.workloads import KEYS, PATHS, VALUE, WORKLOADS

_BUSY = 0.7
_WORKLOADS = ("write", "read")
_FIGURES = ("per_s", "p99", "app_us", "db_us")


@dataclass
class Step:
    service: Service
    database_pids: Callable[[], list[int]]

    def turn(self, name: str, seconds: float) -> dict[str, float]:
        """Requests a second, and microseconds of processor time of application and database."""
        request = WORKLOADS[name].ours.within(vault=self.service.vault)
        pids = self.database_pids()
        before = cpu_seconds(pids)
        once = load(
            self.service.url,
            request,
            self.service.headers(),
            seconds=seconds,
            first=0,
            span=KEYS,
            pids=self.service.pids,
        )
        spent = (cpu_seconds(pids) - before) / (once.per_s * seconds) * 1e6
        return {"per_s": once.per_s, "p99": once.p99, "app_us": once.cpu_us, "db_us": spent}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--no-publish", action="store_true")
    options = parser.parse_args()
    measured: dict[str, dict[str, list[dict[str, float]]]] = {}
    with steps() as running:
        for number in range(-1, options.rounds):
            for title, step in running.items():
                for name in _WORKLOADS:
                    time.sleep(0.3)
                    once = step.turn(name, options.seconds if number >= 0 else 1)
                    if number >= 0:
                        measured.setdefault(title, {}).setdefault(name, []).append(once)
                        print(f"{title}: {name} {once['per_s']:,.0f}", file=sys.stderr, flush=True)
    text = "\n\n".join([table(measured), arithmetic(measured)])
    print(text)
    if not options.no_publish:
        report.save("steps", {"when": report.today(), "steps": measured})
        report.put("scaling.md", "steps", text)
    return 0


@contextmanager
def steps() -> Iterator[dict[str, Step]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vaultsite-steps-")))
        small = stack.enter_context(embedded(folder / "embedded"))
        running = {"SQLite, one process (`make run`)": Step(small, list)}

        def add(title: str, url: str, pids: Callable[[], list[int]], **settings: Any) -> None:
            home = folder / str(len(running)) / "service"
            home.parent.mkdir()
            running[title] = Step(stack.enter_context(service(home, url, **settings)), pids)

        one, many, behind = (stack.enter_context(database()) for _ in range(3))
        add("PostgreSQL, one worker", one.url, lambda: [one.pid], workers=1)
        add(f"PostgreSQL, {WORKERS} workers", many.url, lambda: [many.pid])
        url, pooler = stack.enter_context(pooled(folder / "pooler", behind.url))
        pool = {"DATABASE_POOLER": "on"}
        add("… behind pgbouncer", url, lambda: [behind.pid, pooler], **pool)
        nodes = stack.enter_context(cluster(folder / "nodes"))
        everything = lambda: [pid for node in nodes.nodes.values() for pid in node.pids()]  # noqa: E731
        add("… on three nodes, synchronous", nodes.url, everything, **pool)
        for step in running.values():
            step.service.prepare()
            step.service.fill(PATHS, VALUE)
        yield running


def table(measured: dict[str, Any]) -> str:
    lines = [
        f"{report.today()}, `python -m benchmarks.steps`, everything together on {report.machine()};"
        f" {THREADS} threads for each worker. Processor time is for one request; SQLite's is"
        " the application's, that of the cluster includes all three nodes.",
        "",
        "| | writes/s | p99 ms | application µs | database µs | reads/s | p99 ms | application µs"
        " | database µs |",
        "|---|" + "--:|" * 8,
    ]
    for title, rounds in measured.items():
        cells = [title]
        for name in _WORKLOADS:
            cells += [f"{median(rounds[name], each):,.0f}" for each in _FIGURES]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def arithmetic(measured: dict[str, Any]) -> str:
    """From processor time for a request to what larger machines could do."""
    single, *_, replicated = [measured[title] for title in list(measured)[2:]]
    lines = [
        f"**Past what runs here**, reckoned and not measured: with {_BUSY:.0%} of the database's cores"
        " busy, and as many application cores as that keeps busy. Processor time for a request is taken"
        " as above; that it stays so on many cores, and that the disk keeps up with the commits, is"
        " what a trial on such machines has to show.",
        "",
        "| cores of the database | reads/s | application cores | writes/s | application cores |",
        "|--:|--:|--:|--:|--:|",
    ]
    for cores in (4, 16, 64):
        cells = [str(cores)]
        for name in ("read", "write"):
            rate = cores * _BUSY / median(single[name], "db_us") * 1e6
            cells += [f"{rate:,.0f}", f"{rate * median(single[name], 'app_us') / 1e6 / _BUSY:,.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    extra = median(replicated["write"], "db_us") / median(single["write"], "db_us")
    lines += [
        "",
        "Sharding by `vault_id` multiplies the database's part by the number of shards, as no request"
        f" about secrets touches two. A write on three synchronous nodes costs {extra:.1f} times the"
        " processor time of one node, on three machines.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

"""Is the service as fast when it holds much as when it holds little, and does its memory stay?

    python -m benchmarks.growth [--versions 1000000] [--rounds 5] [--seconds 4] [--requests 200000]

Two servers, each on a database of its own, are asked in turns; a pair of measurements differs in one
thing only. Makes the part on growth of docs/performance.md anew, unless `--no-publish`. About twelve
minutes.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import growth_report
from benchmarks.rig import report
from benchmarks.rig.postgres import Database, database
from benchmarks.rig.processes import memory_mib
from benchmarks.rig.rows import add_policies, add_versions
from benchmarks.rig.service import WORKERS, Service, service
from benchmarks.rig.wrk import Measured, Request, load
from benchmarks.workloads import VALUE

_BODY = f'{{"type":"api_key","value":"{VALUE}"}}'
_KEYS = 1_000
_HISTORY = 1_000
_POLICIES = 10_000
_OWN = 100


@dataclass
class Case:
    """A service with the paths that are asked for."""

    service: Service
    database: Database
    vault: str
    prefix: str
    keys: int = _KEYS

    def turn(self, method: str, seconds: float) -> Measured:
        path = f"/v1/vaults/{self.vault}/secrets/{self.prefix}{{n}}"
        return load(
            self.service.url,
            Request(method, path, _BODY if method == "PUT" else ""),
            self.service.headers(),
            seconds=seconds,
            first=0,
            span=self.keys,
            pids=[*self.service.pids, self.database.pid],
        )

    def fill(self) -> None:
        paths = [f"{self.prefix}{n:09}" for n in range(self.keys)]
        self.service.fill(paths, VALUE, self.vault)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--requests", type=int, default=200_000, help="for memory; 0: not measured")
    parser.add_argument("--no-publish", action="store_true")
    options = parser.parse_args()
    with cases(options.versions) as (pairs, steady):
        rounds = measure(pairs, options.rounds, options.seconds)
        memory = remember(steady, options.requests)
    result = {
        "when": report.today(),
        "machine": report.machine(),
        "rounds": rounds,
        "memory": memory,
        "seconds": options.seconds,
    }
    text = growth_report.table(result)
    print(text)
    if not options.no_publish:
        report.save("growth", result)
        report.put("performance.md", "growth", text)
    return 0


@contextmanager
def cases(versions: int) -> Iterator[tuple[dict[str, tuple[Case, Case]], Case]]:
    """Pairs of a small case and a large one, and the one whose memory is watched."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vaultsite-growth-")))
        running = []
        for name in ("small", "large"):
            (folder / name).mkdir()
            base = stack.enter_context(database())
            ours = stack.enter_context(service(folder / name / "service", base.url))
            ours.prepare()
            running.append((ours, base))
        (few, few_base), (many, many_base) = running

        small = Case(few, few_base, few.vault, "bench/app/key-")
        small.fill()
        large = Case(many, many_base, many.vault, "bench/app/key-")
        many.fill(["bench/first"], VALUE)
        # Five versions of each secret; the load asks for every hundredth of the secrets.
        add_versions(
            many_base.url,
            vault=many.vault,
            prefix=large.prefix,
            secrets=versions // 5,
            versions=5,
        )
        large.keys = max(_KEYS, versions // 500)
        large.fill()
        _say(f"{versions:,} versions are in")

        short = Case(few, few_base, few.vault, "bench/short/key-", 200)
        long = Case(few, few_base, few.vault, "bench/long/key-", 200)
        short.fill()
        history = {"prefix": long.prefix, "secrets": long.keys, "versions": _HISTORY - 1}
        add_versions(few_base.url, vault=few.vault, **history)
        long.fill()
        _say(f"{long.keys} secrets have {_HISTORY:,} versions")

        crowd = Case(few, few_base, few.new_vault("crowd"), small.prefix)
        crowd.fill()
        add_policies(few_base.url, vault=crowd.vault, policies=_POLICIES)
        own = Case(few, few_base, few.new_vault("own"), small.prefix)
        own.fill()
        add_policies(few_base.url, vault=own.vault, policies=_OWN, principal=few.principal)
        for vault in (few.vault, crowd.vault):
            add_policies(few_base.url, vault=vault, policies=9, principal=few.principal)
        _say(f"{_POLICIES:,} policies are in")
        yield (
            {
                f"1,000 → {versions:,} versions in the database": (small, large),
                f"1 → {_HISTORY:,} versions of a path": (short, long),
                f"10 → {_POLICIES:,} policies in the vault, ten of them the caller's": (
                    small,
                    crowd,
                ),
                f"10 → {_OWN} policies of the caller in the vault": (small, own),
            },
            small,
        )


def measure(
    pairs: dict[str, tuple[Case, Case]], rounds: int, seconds: float
) -> dict[str, dict[str, list[list[dict[str, Any]]]]]:
    """Pair → method → small and large, one measurement for each round."""
    measured: dict[str, dict[str, list[list[dict[str, Any]]]]] = {}
    for number in range(-1, rounds):
        for name, pair in pairs.items():
            for method in ("PUT", "GET"):
                order = (0, 1) if number % 2 else (1, 0)
                for side in order:
                    time.sleep(0.3)
                    once = pair[side].turn(method, seconds if number >= 0 else 1)
                    if number < 0:
                        continue
                    sides = measured.setdefault(name, {}).setdefault(method, [[], []])
                    sides[side].append(asdict(once))
                    _say(f"round {number + 1}  {method}  {once.per_s:>7,.0f} a second  {name}")
    return measured


def remember(case: Case, requests: int) -> list[dict[str, Any]]:
    """Memory of the workers while they answer that many requests, every fifth a write."""
    series: list[dict[str, Any]] = []
    done = turn = 0
    server = case.service.pids[:1]
    while done < requests:
        method, seconds = ("PUT", 2) if turn % 5 == 0 else ("GET", 5)
        turn += 1
        done += round(case.turn(method, seconds).per_s * seconds)
        workers = memory_mib(server)[:WORKERS]
        if not series or done - series[-1]["requests"] >= requests / 10 or done >= requests:
            series.append({"requests": done, "mib": [round(each, 1) for each in workers]})
            _say(f"{done:,} requests: {series[-1]['mib']} MiB")
    return series


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

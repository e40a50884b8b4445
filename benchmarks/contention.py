"""What a caller with rights of the API alone can do to others, by making requests wait for one lock.

    python -m benchmarks.contention [--seconds 10] [--callers 12]

The attacker writes batches of new paths, which are locked until they commit, and single secrets at those
same paths meanwhile. A victim writes to another vault. Shown are the victim's percentiles.
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from benchmarks.rig.postgres import database
from benchmarks.rig.service import Service, service

_PATHS, _VALUE = 200, "v" * 20_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--callers", type=int, default=12)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        database() as postgres,
        service(Path(folder) / "var", postgres.url, workers=1) as running,
    ):
        running.prepare()
        theirs = running.new_vault("attacked")
        attack = Attack(running, theirs)
        print("victim's writes, ms        median    95 %    99 %    most")
        for title, work in {
            # As much work for the machine, and no two requests want the same path.
            "alone": [],
            "beside other writers": [attack.batches, *[attack.elsewhere] * options.callers],
            "under attack": [attack.batches, *[attack.contended] * options.callers],
        }.items():
            show(title, measure(running, work, options.seconds))
    return 0


class Attack:
    def __init__(self, running: Service, vault: str) -> None:
        self._running, self._vault = running, vault
        self._token = running.token()
        self.turn = 0

    def batches(self) -> None:
        self.turn += 1
        items = [
            {"path": f"bench/{self.turn}/{n}", "type": "note", "value": _VALUE}
            for n in range(_PATHS)
        ]
        self._send("POST", "secrets:batchWrite", {"secrets": items})

    def contended(self) -> None:
        self._put(f"bench/{self.turn}/{time.monotonic_ns() % _PATHS}")

    def elsewhere(self) -> None:
        self._put(f"bench/free/{time.monotonic_ns()}")

    def _put(self, path: str) -> None:
        self._send("PUT", f"secrets/{path}", {"type": "note", "value": "v"})

    def _send(self, method: str, what: str, body: Any) -> None:
        with suppress(HTTPError):
            send(self._running, self._token, method, f"{self._vault}/{what}", body)


def measure(running: Service, work: list[Callable[[], None]], seconds: int) -> list[float]:
    """Milliseconds of each of the victim's writes, while each of `work` is done over and over."""
    ends = time.monotonic() + seconds
    token, times = running.token(), []

    def repeat(act: Callable[[], None]) -> None:
        while time.monotonic() < ends:
            act()

    threads = [threading.Thread(target=repeat, args=(act,)) for act in work]
    for thread in threads:
        thread.start()
    while time.monotonic() < ends:
        path = f"{running.vault}/secrets/bench/victim/{len(times) % 50}"
        began = time.perf_counter()
        send(running, token, "PUT", path, {"type": "note", "value": "v"})
        times.append((time.perf_counter() - began) * 1000)
        time.sleep(0.005)
    for thread in threads:
        thread.join()
    return times


def send(running: Service, token: str, method: str, path: str, body: Any) -> None:
    request = urllib.request.Request(
        f"{running.url}/v1/vaults/{path}",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def show(title: str, times: list[float]) -> None:
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    print(f"{title:24}{cuts[49]:9.1f}{cuts[94]:8.1f}{cuts[98]:8.1f}{max(times):8.1f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""Does sealing slow requests down? The same load with and without a sealer, in turns, on one server.

python -m benchmarks.audit_sealing [--rounds 5] [--seconds 8] [--postgresql]
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.e2e.load import Load
from tests.e2e.server import ROOT, Server, serve
from tests.run import postgresql

# One event for each request would be enough for a sealer every minute; this is sixty times as often.
_EVERY_S = "1"


class Timed(Load):
    """Remembers how long each request took, in milliseconds."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.took: list[float] = []
        super().__init__(*arguments, **options)

    def _send(self, *arguments: Any) -> Any:
        began = time.perf_counter()
        answer = super()._send(*arguments)
        self.took.append((time.perf_counter() - began) * 1000)
        return answer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "var"
        url = stack.enter_context(postgresql()) if options.postgresql else None
        server = stack.enter_context(
            serve(
                home,
                url,
                RATE_LIMIT="",
                SIGN_IN_RATE_LIMIT="",
                LOG_LEVEL="WARNING",
                AUDIT_SEAL_EVERY="0",
            )
        )
        demo = server.quickstart()
        measure(server, demo, options.seconds)  # warm
        rounds: dict[str, list[list[float]]] = {"without": [], "with": []}
        for number in range(options.rounds):
            order = ("without", "with") if number % 2 else ("with", "without")
            for sealing in order:
                with ExitStack() as turn:
                    if sealing == "with":
                        turn.enter_context(sealer(server))
                    rounds[sealing].append(measure(server, demo, options.seconds))
    report(rounds, options.seconds)
    return 0


class sealer:  # noqa: N801
    """`manage.py seal_audit --every 1`, as a service beside the server."""

    def __init__(self, server: Server) -> None:
        self._environment = server.environment

    def __enter__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "manage.py", "seal_audit", "--every", _EVERY_S],
            cwd=ROOT,
            env=self._environment,
        )
        time.sleep(3)  # it has started and caught up

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


def measure(server: Server, demo: dict[str, Any], seconds: float) -> list[float]:
    with Timed(server, demo, workers=4) as load:
        threading.Event().wait(seconds)
    return load.took


def report(rounds: dict[str, list[list[float]]], seconds: float) -> None:
    print("| sealer | requests a second | median | 99 % | 99.9 % |\n|---|---|---|---|---|")
    middle = {}
    for sealing, measured in rounds.items():
        rates = [len(took) / seconds for took in measured]
        everything = sorted(each for took in measured for each in took)
        middle[sealing] = statistics.median(rates)
        quantiles = [everything[int(len(everything) * q)] for q in (0.5, 0.99, 0.999)]
        print(
            f"| {sealing} | {middle[sealing]:.0f} ({min(rates):.0f}–{max(rates):.0f}) | "
            + " | ".join(f"{each:.1f} ms" for each in quantiles)
            + " |"
        )
    print(f"\nwith to without: {middle['with'] / middle['without']:.2f}")


if __name__ == "__main__":
    sys.exit(main())

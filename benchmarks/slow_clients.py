"""Slow senders by the hundred, and what an ordinary client notices meanwhile.

    python -m benchmarks.slow_clients [--senders 500] [--seconds 30] [--workers 1]

On PostgreSQL, with the command line of `make run` (one worker) or of the systemd unit (two).
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.rig.postgres import database
from benchmarks.rig.processes import memory_mib
from benchmarks.rig.service import Service, service
from tests.e2e.slow_clients import Seen, allow_many_sockets, ask_meanwhile, get, slow_senders


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--senders", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    allow_many_sockets(options.senders)
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "var"
        url = stack.enter_context(database()).url
        running = stack.enter_context(service(home, url, workers=options.workers))
        running.prepare()
        running.fill(["bench/a"], "v")
        for name, senders, body in (
            ("nobody", 0, 0),
            ("half heads, half bodies, a byte a second", options.senders, 0),
            ("4 MB of a body each", options.senders, 4_000_000),
        ):
            seen, before, most = asyncio.run(measure(running, senders, body, options.seconds))
            waits = sorted(seen.waits)
            print(
                f"{senders:5} senders ({name}): {len(waits)} requests, {len(seen.failures)} failed,"
                f" median {statistics.median(waits) * 1000:.0f} ms, longest {waits[-1]:.2f} s;"
                f" resident {before:.0f} MiB before, {most:.0f} at most",
                flush=True,
            )
    return 0


async def measure(
    running: Service, senders: int, body: int, seconds: float
) -> tuple[Seen, float, float]:
    """What was seen, and the server's memory before and at its most, in MiB."""
    seen = Seen()
    port = int(running.url.rpartition(":")[2])
    path = f"/v1/vaults/{running.vault}/secrets/bench/a"
    requests = [get("/livez"), get(path, running.token())]
    before = most = sum(memory_mib(running.pids[:1]))
    async with slow_senders(port, senders, seen, body=body):
        asking = asyncio.create_task(ask_meanwhile(port, requests, seen, seconds))
        while not asking.done():
            most = max(most, sum(memory_mib(running.pids[:1])))
            await asyncio.sleep(0.2)
        await asking
    return seen, before, most


if __name__ == "__main__":
    sys.exit(main())

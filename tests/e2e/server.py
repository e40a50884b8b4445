"""A real server: `manage.py quickstart --serve` in a folder of its own, as `make run` starts it."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.e2e.processes import ROOT as ROOT
from tests.e2e.processes import ended, free_port, kill, start, wait_until_it_answers


@dataclass
class Server:
    home: Path
    environment: dict[str, str]
    base_url: str
    log: Path
    process: subprocess.Popen[bytes]
    errors: list[bytes] = field(
        default_factory=list, kw_only=True
    )  # bodies, to be searched for leaks

    def kill(self) -> None:
        """SIGKILL for all of it at once: supervisor, worker and sealer."""
        kill(self.process)

    def quickstart(self) -> dict[str, Any]:
        """The object that `manage.py quickstart --json` prints."""
        done = manage("quickstart", "--json", environment=self.environment)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def request(self, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        """Status and body of one request over TCP."""
        status, _, raw = self.exchange(method, path, body, token)
        return status, json.loads(raw) if raw else None

    def exchange(
        self, method: str, path: str, body: Any = None, token: str = ""
    ) -> tuple[int, Message, bytes]:
        """Status, headers and body of one request over TCP."""
        request = urllib.request.Request(self.base_url + path, method=method)
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout=30) as response:
                return response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            with error:
                self.errors.append(error.read())
                return error.code, error.headers, self.errors[-1]


def manage(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `manage.py`; raises CalledProcessError when it fails."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


@contextmanager
def serve(home: Path, database_url: str | None = None, **variables: str) -> Iterator[Server]:
    """Start the server and stop it as Ctrl-C does. Without `database_url` it keeps to SQLite."""
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "VAULTSITE_HOME": str(home),
        "PORT": str(port),
        "LOG_LEVEL": "DEBUG",
    } | variables
    if database_url:
        environment["DATABASE_URL"] = database_url
    log = home.parent / f"server-{port}.log"
    process = start([sys.executable, "manage.py", "quickstart", "--serve"], environment, log)
    server = Server(home, environment, f"http://127.0.0.1:{port}", log, process)
    with ended(process, signal.SIGINT, within_s=60):
        wait_until_it_answers(server.base_url + "/v1/health", process, log)
        yield server


@contextmanager
def new_database(url: str | None) -> Iterator[str | None]:
    """The URL of a new database on the PostgreSQL server at `url`, dropped at the end; None for None."""
    if not url:
        yield None
        return
    import psycopg

    name = f"e2e_{uuid4().hex[:12]}"
    with psycopg.connect(autocommit=True, **connection_options(url)) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            base, _, query = url.partition("?")
            yield base.rpartition("/")[0] + f"/{name}" + (f"?{query}" if query else "")
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def connection_options(url: str) -> dict[str, Any]:
    """For psycopg, from the URL of a database."""
    from environ import Env

    config = Env.db_url_config(url)
    return {
        "host": config["HOST"] or None,
        "port": config["PORT"] or None,
        "user": config["USER"] or None,
        "password": config["PASSWORD"] or None,
        "dbname": config["NAME"],
    } | config.get("OPTIONS", {})

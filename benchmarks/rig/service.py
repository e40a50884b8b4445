"""Our server as docs/operations.md sets it up: granian on PostgreSQL, with a sealer beside it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.server import ROOT, manage, serve
from vaultsite import serving

# As in deploy/systemd, on two cores.
WORKERS, THREADS = 2, 32
# Nobody's rate is limited, and metrics of several processes are added up.
SETTINGS = {"LOG_LEVEL": "WARNING", "RATE_LIMIT": "", "SIGN_IN_RATE_LIMIT": ""}


@dataclass
class Service:
    """A running server, with a vault, its owner and somebody whom policies let in."""

    url: str
    environment: dict[str, str]
    pids: list[int]
    vault: str = ""
    owner_key: str = ""
    api_key: str = ""
    principal: str = ""
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def ask(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """One request; raises HTTPError unless it is a success."""
        request = urllib.request.Request(self.url + path, method=method)
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data, timeout=60) as response:
            return json.loads(response.read() or b"null")

    def token(self, api_key: str = "") -> str:
        """A new token, by default of the one whom policies let in."""
        body = {"api_key": api_key or self.api_key}
        return str(self.ask("POST", "/v1/auth/api-key-token", body)["access_token"])

    def headers(self) -> dict[str, str]:
        """Of a request with a token that was made just now."""
        return {"Authorization": f"Bearer {self.token()}", "Content-Type": "application/json"}

    def prepare(self, pattern: str = "bench/**") -> None:
        """Make the people: the demo account owns the vault, another reads and writes by a policy."""
        demo = json.loads(manage("quickstart", "--json", environment=self.environment).stdout)
        self.vault, self.owner_key = demo["vault_id"], demo["api_key"]
        secret = {"VAULTSITE_PASSWORD": "a long password for measuring only"}
        manage("create_user", "bench@example.com", environment=self.environment | secret)
        made = manage("create_api_key", "bench@example.com", "--json", environment=self.environment)
        self.api_key = json.loads(made.stdout)["api_key"]
        self.principal = self.ask("GET", "/v1/auth/me", token=self.token())["id"]
        self.allow(self.principal, pattern)

    def allow(self, principal: str, pattern: str, vault: str = "") -> None:
        body = {"secret_path_pattern": pattern, "principal_type": "user"}
        body |= {"principal_id": principal, "permissions": ["read", "write"]}
        path = f"/v1/vaults/{vault or self.vault}/policies"
        self.ask("POST", path, body, self.token(self.owner_key))

    def new_vault(self, name: str, pattern: str = "bench/**") -> str:
        """Another vault with the same owner and the same policy."""
        made = self.ask("POST", "/v1/vaults", {"name": name}, self.token(self.owner_key))
        self.allow(self.principal, pattern, made["id"])
        return str(made["id"])

    def fill(self, paths: list[str], value: str, vault: str = "") -> None:
        """Write a version at each path, 200 a request."""
        token = self.token(self.owner_key)
        for start in range(0, len(paths), 200):
            items = [
                {"path": path, "type": "api_key", "value": value}
                for path in paths[start : start + 200]
            ]
            url = f"/v1/vaults/{vault or self.vault}/secrets:batchWrite"
            self.ask("POST", url, {"secrets": items}, token)


@contextmanager
def service(
    home: Path, database_url: str, *, workers: int = WORKERS, **settings: str
) -> Iterator[Service]:
    """Processes of granian on that database, until the end of the block."""
    port = free_port()
    metrics = home.parent / f"metrics-{port}"
    metrics.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "VAULTSITE_HOME": str(home),
        "DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": "vaultsite.settings",
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
    }
    environment |= SETTINGS | settings
    manage("quickstart", "--json", environment=environment)
    _, _, *server = serving.command(port=port, workers=workers)  # `running` names the interpreter
    with ExitStack() as stack:
        started = [
            stack.enter_context(running(part, environment, home.parent / "server.log"))
            for part in (
                server,
                ["django", "seal_audit", "--every", "10"],
            )
        ]
        running_service = Service(
            f"http://127.0.0.1:{port}", environment, [process.pid for process in started]
        )
        wait_for(running_service.url + "/v1/health", started[0])
        yield running_service


@contextmanager
def embedded(home: Path) -> Iterator[Service]:
    """What `make run` starts: one process on SQLite."""
    with serve(home, **SETTINGS) as server:
        yield Service(server.base_url, server.environment, [server.process.pid])


@contextmanager
def running(
    module: list[str], environment: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m module …`, ended as Ctrl-C does."""
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            cwd=ROOT,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until it answers; at most a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{url} does not answer")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

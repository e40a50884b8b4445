"""The server as `deploy/systemd/vaultsite-server.service` starts it: its command line, on another port."""

import re
import shlex
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.server import ROOT, Server, manage

UNIT = ROOT / "deploy" / "systemd" / "vaultsite-server.service"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command_line(port: int) -> list[str]:
    """ExecStart, with the paths of this clone in the place of the unit's."""
    text = UNIT.read_text().replace("\\\n", " ")
    found = re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)
    assert found is not None
    words = shlex.split(found[1].replace("/opt/vaultsite", str(ROOT)))
    words[words.index("--port") + 1] = str(port)
    return words


@dataclass
class Production(Server):
    metrics: Path


@contextmanager
def production(folder: Path, **variables: str) -> Iterator[Production]:
    home, metrics = folder / "var", folder / "metrics"
    metrics.mkdir(parents=True)
    port = free_port()
    environment = {
        "PATH": f"{ROOT / '.venv' / 'bin'}:/usr/bin:/bin",
        "VAULTSITE_HOME": str(home),
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        "LOG_FORMAT": "json",
    } | variables
    manage("quickstart", environment=environment)
    log = folder / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command_line(port),
            cwd=ROOT,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    base_url = f"http://127.0.0.1:{port}"
    server = Production(home, environment, base_url, log, process, metrics)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            server.kill()
            raise


def _wait_until_ready(server: Production) -> None:
    deadline = time.monotonic() + 60
    while server.process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(server.base_url + "/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the server did not start:\n{server.log.read_text()[-4000:]}")

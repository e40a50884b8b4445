"""The server as `deploy/systemd/vaultsite-server.service` starts it: its command line, on another port."""

import re
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.processes import ROOT, ended, free_port, start, wait_until_it_answers
from tests.e2e.server import Server, manage

UNIT = ROOT / "deploy" / "systemd" / "vaultsite-server.service"


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
    process = start(command_line(port), environment, log)
    base_url = f"http://127.0.0.1:{port}"
    server = Production(home, environment, base_url, log, process, metrics)
    with ended(process, signal.SIGTERM, within_s=60):
        wait_until_it_answers(base_url + "/readyz", process, log)
        yield server

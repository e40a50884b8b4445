"""Three nodes under Patroni with synchronous replication."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.failover.node import DATABASE, Node, Ports
from tests.e2e.processes import free_port


@dataclass
class Cluster:
    nodes: dict[str, Node]

    @property
    def url(self) -> str:
        """For DATABASE_URL: every pgbouncer, and whoever takes writes is the right one."""
        hosts = ",".join(f"127.0.0.1:{node.ports.pgbouncer}" for node in self.nodes.values())
        options = "target_session_attrs=read-write&connect_timeout=3"
        return f"postgres://postgres@{hosts}/{DATABASE}?{options}"

    def members(self) -> dict[str, dict[str, Any]]:
        """What Patroni says of each node, asked of any that answers."""
        for node in self.nodes.values():
            try:
                url = f"http://127.0.0.1:{node.ports.patroni}/cluster"
                with urllib.request.urlopen(url, timeout=3) as response:
                    return {each["name"]: each for each in json.load(response)["members"]}
            except (OSError, ValueError):
                continue
        return {}

    def leader(self) -> Node | None:
        """The node that takes writes, None while there is none."""
        for name, member in self.members().items():
            if member["role"] == "leader" and member["state"] == "running":
                return self.nodes[name]
        return None

    def standbys(self, role: str = "quorum_standby") -> int:
        """How many nodes hold every commit that was answered, or may become leader."""
        return sum(
            member["role"] == role and member["state"] == "streaming"
            for member in self.members().values()
        )

    def switch_over(self, leader: Node) -> None:
        """Ask Patroni for another leader, as before maintenance."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{leader.ports.patroni}/switchover",
            json.dumps({"leader": leader.name}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60):
            pass


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Started, with a leader and two standbys that stream, until the end of the block."""
    folder.mkdir(exist_ok=True)
    for each in (folder, folder.parent):
        each.chmod(0o755)  # somebody else runs PostgreSQL
    names = ("one", "two", "three")
    ports = {name: Ports(*(free_port() for _ in range(5))) for name in names}
    running = Cluster({name: Node(name, folder / name, ports[name], ports) for name in names})
    try:
        for node in running.nodes.values():
            node.configure()
            node.start()
        until(lambda: running.standbys() == 2, 120, "the cluster to be whole", running)
        yield running
    finally:
        for node in running.nodes.values():
            node.stop()


def until(holds: Callable[[], bool], seconds: float, what: str, running: Cluster) -> float:
    """Wait for something; returns how long it took, in seconds."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            logs = "\n".join(node.log("patroni")[-500:] for node in running.nodes.values())
            raise SystemExit(f"waited {seconds} s for {what}: {running.members()}\n{logs}")
        time.sleep(0.2)
    return time.monotonic() - began

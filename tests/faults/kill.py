"""Kills the server (SIGKILL: supervisor, worker and sealer at once) and PostgreSQL (immediate stop) at
random moments, under writes, counted reads, batches, rotation of the vault's key and sealing. After each
round everything is compared with what clients were told.

    python -m tests.faults.kill [--rounds 50] [--database postgresql|sqlite] [--seed 1]
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.server import ROOT, Server, manage, serve
from tests.faults.clients import ACCESSES, Client, Clients, Memory
from tests.faults.postgresql import Postgresql, own_postgresql

_SETTINGS = {
    "RATE_LIMIT": "",
    "SIGN_IN_RATE_LIMIT": "",
    "LOG_LEVEL": "ERROR",
    "AUDIT_SEAL_EVERY": "1",
}


_VICTIMS = (("server",), ("database",), ("server", "database"))


@dataclass
class Survived:
    """What the rounds went through."""

    rounds: int = 0
    servers_killed: int = 0
    databases_killed: int = 0
    writes: int = 0
    batches: int = 0
    reads: int = 0
    unanswered: int = 0
    rotations: int = 0
    seals: int = 0


def survive(home: Path, postgresql: Postgresql | None, *, rounds: int, seed: int) -> Survived:
    """Raises AssertionError for whatever is not as clients were told."""
    chance = random.Random(seed)
    total, memory = Survived(), Memory()
    for number in range(rounds):
        _one_round(home, postgresql, number, chance, total, memory)
        total.rounds += 1
        print(total, flush=True)
    return total


def _one_round(
    home: Path,
    postgresql: Postgresql | None,
    number: int,
    chance: random.Random,
    total: Survived,
    memory: Memory,
) -> None:
    url = postgresql.url if postgresql else None
    victims = _VICTIMS[number % len(_VICTIMS)] if postgresql else ("server",)
    memory.read = memory.read_unsure = 0
    with ExitStack() as stack:
        server = stack.enter_context(serve(home, url, **_SETTINGS))
        demo = server.quickstart()
        address, vault = server.base_url.removeprefix("http://"), demo["vault_id"]
        client = Client(address, demo["api_key"], vault)
        counted = {"type": "note", "value": "v", "max_access_count": ACCESSES}
        assert client.ask("PUT", f"/secrets/counted/{number}", counted)[0] == 201
        client.close()
        rotation = None
        try:
            with Clients(address, demo["api_key"], vault, number, memory):
                time.sleep(chance.uniform(0.1, 1.0))
                rotation = _start("rotate_kek", vault, environment=server.environment)
                time.sleep(chance.uniform(0.1, 2.0))
                if "server" in victims:
                    server.kill()
                    total.servers_killed += 1
                if "database" in victims and postgresql:
                    postgresql.crash()
                    total.databases_killed += 1
                time.sleep(0.1)
        finally:
            if rotation is not None:
                _end(rotation, "database" in victims)
            if "database" in victims and postgresql:
                postgresql.start()
        if "server" not in victims:
            # Nobody restarts it: it has to find the database again by itself, at the first request.
            _verify(server, demo, number, memory, total)
    if "server" in victims:
        with serve(home, url, **_SETTINGS) as server:
            _verify(server, demo, number, memory, total)


def _verify(
    server: Server, demo: dict[str, str], number: int, memory: Memory, total: Survived
) -> None:
    address, vault = server.base_url.removeprefix("http://"), demo["vault_id"]
    client = Client(address, demo["api_key"], vault)
    assert not memory.doubled, f"numbers given twice: {memory.doubled}"
    assert client.ask("GET", "/secrets")[0] == 200  # the first request
    total.unanswered += sum(map(len, memory.unsure.values())) + memory.read_unsure
    for path in list({path for path, _ in memory.written}):
        numbers = _numbers(client, path)
        assert numbers == list(range(len(numbers), 0, -1)), f"gaps in {path}: {numbers}"
    for (path, version), value in memory.written.items():
        status, answer = client.ask("GET", f"/secret-version/{path}/{version}")
        assert (status, answer.get("value")) == (200, value), f"{path} {version} is lost"
    for path, unsure in memory.unsure.items():
        status, answer = client.ask("GET", f"/secrets/{path}")
        if status != 404:
            acknowledged = memory.written.get((path, answer["version"]))
            assert answer["value"] in unsure | {acknowledged, memory.before.get(path)}
            memory.before[path] = answer["value"]
    _verify_batches(client, memory)
    _verify_count(client, number, memory)
    client.close()
    manage("verify_vault", environment=server.environment)
    audit = manage("verify_audit", "--json", environment=server.environment)
    total.seals = json.loads(audit.stdout)["seals"]
    keys = manage("keys", "--json", environment=server.environment)
    newest = max(key["version"] for key in json.loads(keys.stdout)["vault_keys"])
    total.rotations = newest - 1
    total.writes += len(memory.written)
    total.batches += len(memory.batches)
    total.reads += memory.read
    memory.written.clear()
    memory.unsure.clear()
    memory.batches.clear()


def _end(rotation: subprocess.Popen[bytes], is_doomed: bool) -> None:
    """Without a database it has failed, or is killed: the next round's goes on from there. With one it
    ends well, whatever became of the server."""
    if is_doomed:
        rotation.kill()
        rotation.wait()
    else:
        assert rotation.wait(timeout=60) == 0


def _numbers(client: Client, path: str) -> list[int]:
    """All version numbers of a path, newest first."""
    numbers: list[int] = []
    cursor = ""
    while True:
        status, page = client.ask("GET", f"/secret-versions/{path}?limit=1000{cursor}")
        assert status == 200
        numbers += [version["version"] for version in page["versions"]]
        if "next_cursor" not in page:
            return numbers
        cursor = f"&cursor={page['next_cursor']}"


def _verify_batches(client: Client, memory: Memory) -> None:
    """The three paths are only written together, so they are equal in everything."""
    histories = [_numbers(client, f"batch/{n}") for n in range(3)] if memory.batches else []
    assert all(history == histories[0] for history in histories)
    if not histories:
        return
    written = set()
    for version in histories[0][: len(memory.batches) + 20]:
        values = {
            client.ask("GET", f"/secret-version/batch/{n}/{version}")[1]["value"] for n in range(3)
        }
        assert len(values) == 1, f"half a batch in version {version}"
        written |= values
    assert memory.batches <= written, "a batch is lost"


def _verify_count(client: Client, number: int, memory: Memory) -> None:
    """What is left of the accesses is what nobody got: no more, no less."""
    path = f"/secrets/counted/{number}"
    left = 0
    while client.ask("GET", path)[0] == 200:
        left += 1
    spent = ACCESSES - left
    assert left > 0, "all was read before the kill"
    assert memory.read <= spent, f"{memory.read} reads of {spent} accesses: some were given away"
    assert spent <= memory.read + memory.read_unsure, (
        f"{spent} accesses for {memory.read} reads and {memory.read_unsure} without an answer"
    )


def _start(*arguments: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        postgresql = (
            stack.enter_context(own_postgresql()) if options.database == "postgresql" else None
        )
        home = Path(folder) / "var"
        survive(home, postgresql, rounds=options.rounds, seed=options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Clients that write, read and count while everything around them is killed, and remember what they
were told: that, and no more, has to be true afterwards."""

import http.client
import json
import random
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

WRITERS = READERS = 3
# Of a counted secret: more than are read in a round, so that reads are under way at the kill.
ACCESSES = 800


@dataclass
class Memory:
    """What was acknowledged, and what was sent and may or may not have happened. `before` is what each
    path had when the round began."""

    written: dict[tuple[str, int], str] = field(default_factory=dict)
    unsure: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    before: dict[str, str] = field(default_factory=dict)
    batches: set[str] = field(default_factory=set)
    read: int = 0
    read_unsure: int = 0
    doubled: list[Any] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Client:
    """One connection, made anew after it broke."""

    def __init__(self, address: str, token: str, vault: str) -> None:
        self._address, self._token, self.base = address, token, f"/v1/vaults/{vault}"
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and body. Raises OSError, HTTPException when there was no answer."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._address, timeout=30)
        try:
            self._connection.request(
                method,
                self.base + path,
                None if body is None else json.dumps(body),
                {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
                | {name.replace("_", "-"): value for name, value in headers.items()},
            )
            response = self._connection.getresponse()
            raw = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        return response.status, json.loads(raw) if raw else None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Clients:
    """Use as a context manager; the threads end with it, whatever the server does."""

    def __init__(self, address: str, token: str, vault: str, round_: int, memory: Memory) -> None:
        self._make = lambda: Client(address, token, vault)
        self._round = round_
        self._memory = memory
        self._stopping = threading.Event()
        work = [self._write, self._batch] * WRITERS + [self._read] * READERS
        self._threads = [
            threading.Thread(target=self._run, args=(act, number))
            for number, act in enumerate(work)
        ]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, act: Any, number: int) -> None:
        client, chance, turn = self._make(), random.Random(), 0
        while not self._stopping.is_set():
            turn += 1
            try:
                act(client, chance, f"{self._round}-{number}-{turn}")
            except (OSError, http.client.HTTPException):
                self._stopping.wait(0.02)
        client.close()

    def _write(self, client: Client, chance: random.Random, value: str) -> None:
        """All writers share the paths, so that they compete for numbers."""
        path = f"shared/{chance.randrange(4)}"
        memory = self._memory
        with memory.lock:
            memory.unsure[path].add(value)
        status, answer = client.ask("PUT", f"/secrets/{path}", {"type": "note", "value": value})
        if status == 201:
            with memory.lock:
                memory.unsure[path].discard(value)
                if memory.written.setdefault((path, answer["version"]), value) != value:
                    memory.doubled.append((path, answer["version"]))

    def _batch(self, client: Client, chance: random.Random, value: str) -> None:
        """All or nothing."""
        items = [{"path": f"batch/{n}", "type": "note", "value": value} for n in range(3)]
        status, _ = client.ask("POST", "/secrets:batchWrite", {"secrets": items})
        if status == 201:
            with self._memory.lock:
                self._memory.batches.add(value)

    def _read(self, client: Client, chance: random.Random, value: str) -> None:
        memory = self._memory
        with memory.lock:
            memory.read_unsure += 1
        status, _ = client.ask("GET", f"/secrets/counted/{self._round}")
        with memory.lock:
            memory.read += status == 200
            # A database that goes away in the middle of a commit leaves a 500 that knows no better.
            memory.read_unsure -= status != 500
        self._stopping.wait(0.02)

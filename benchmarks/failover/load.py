"""Clients that write through a failover and keep a ledger of what they were told."""

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import urlsplit
from uuid import uuid4

from benchmarks.rig.service import Service

# A client would wait as long as Retry-After says; waiting less shows sooner that writes flow again.
_PAUSE_S = 0.25
_WAIT_S = 60


@dataclass(frozen=True)
class Attempt:
    """One request: when it was answered (monotonic seconds), how, and after how long."""

    at: float
    status: int  # 0: no answer at all
    took: float
    is_problem: bool = False
    has_retry_after: bool = False

    @property
    def is_refused(self) -> bool:
        """A 409 is none: it says that the first try of this request may still be under way."""
        return self.status == 0 or self.status >= 500


@dataclass
class Ledger:
    attempts: list[Attempt] = field(default_factory=list)
    acknowledged: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def note(self, attempt: Attempt) -> None:
        with self._lock:
            self.attempts.append(attempt)

    def outage(self, since: float) -> tuple[float, int]:
        """The longest time without an acknowledged write after `since`, and the failures in it."""
        times = sorted(a.at for a in self.attempts if a.status == 201 and a.at >= since - 1)
        gaps = [(b - a, a, b) for a, b in pairwise(times)]
        length, start, end = max(gaps)
        return length, sum(a.is_refused and start <= a.at <= end for a in self.attempts)

    def is_flowing(self, since: float) -> bool:
        """Whether writes are acknowledged again after having been refused."""
        failed = [a.at for a in self.attempts if a.is_refused and a.at > since]
        last = max(failed, default=since)
        done = [a.at for a in self.attempts if a.status == 201 and a.at > last]
        return bool(done) and max(done) - last > 2


class Writers:
    """Use as a context manager. Every write goes to a path of its own.

    `patient` clients send an Idempotency-Key and repeat the request until it is done; the others ask
    once and note what was refused.
    """

    def __init__(self, service: Service, *, patient: int = 6, once: int = 4) -> None:
        self.ledger = Ledger()
        self._service = service
        self._token = service.token()
        self._stopping = threading.Event()
        kinds = [self._patient] * patient + [self._once] * once
        self._threads = [
            threading.Thread(target=work, args=(n,), daemon=True) for n, work in enumerate(kinds)
        ]

    def __enter__(self) -> Ledger:
        for thread in self._threads:
            thread.start()
        return self.ledger

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Every patient client still sees its last write through; at most two minutes."""
        self._stopping.set()
        if kind is not None:
            return
        for thread in self._threads:
            thread.join(timeout=120)
            assert not thread.is_alive(), "a client never came to an end"

    def _patient(self, number: int) -> None:
        turn = 0
        while not self._stopping.is_set():
            turn += 1
            path, value, key = f"bench/patient/{number}/{turn}", f"{number}-{turn}", str(uuid4())
            while self._write(path, value, key) != 201:
                time.sleep(_PAUSE_S)
            self.ledger.acknowledged[path] = value
            time.sleep(0.02)

    def _once(self, number: int) -> None:
        turn = 0
        while not self._stopping.is_set():
            turn += 1
            path, value = f"bench/once/{number}/{turn}", f"{number}-{turn}"
            done = self._write(path, value) == 201
            (self.ledger.acknowledged if done else self.ledger.refused)[path] = value
            time.sleep(0.05)

    def _write(self, path: str, value: str, key: str = "") -> int:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        address = urlsplit(self._service.url)
        connection = http.client.HTTPConnection(address.netloc, timeout=_WAIT_S)
        began = time.monotonic()
        try:
            connection.request(
                "PUT",
                f"/v1/vaults/{self._service.vault}/secrets/{path}",
                json.dumps({"type": "note", "value": value}),
                headers,
            )
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self.ledger.note(Attempt(time.monotonic(), 0, time.monotonic() - began))
            return 0
        finally:
            connection.close()
        now = time.monotonic()
        is_problem = answer.headers.get_content_type() == "application/problem+json"
        has_retry_after = (answer.headers.get("Retry-After") or "").isdecimal()
        self.ledger.note(Attempt(now, answer.status, now - began, is_problem, has_retry_after))
        return answer.status

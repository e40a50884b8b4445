"""Clients that write, read back and compare, over and over, while something else goes on."""

import json
import threading
import urllib.error
import urllib.request
from types import TracebackType
from typing import Any

from tests.e2e.server import Server

_PATHS = 15


class Load:
    """Use as a context manager: stops its threads at the end and fails for what went wrong.

    Every answer has to be a success, and every read has to give back what was last written. `server`
    may be exchanged on the way, as a proxy does that moves its traffic to another instance.
    """

    def __init__(self, server: Server, demo: dict[str, Any], *, workers: int = 3) -> None:
        self.server = server
        self._key, self._vault = demo["api_key"], demo["vault_id"]
        self._stopping = threading.Event()
        self._failures: list[str] = []
        self._threads = [threading.Thread(target=self._work, args=(n,)) for n in range(workers)]
        self.writes = self.reads = 0
        self.written: dict[str, str] = {}

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._join()
        if error is None:
            self.stop()
        elif self._failures:
            error.add_note(f"failures of the load: {self._failures[:5]}")

    def stop(self) -> None:
        """End the load and fail for what went wrong; doing it twice is no error."""
        self._join()
        assert not self._failures, self._failures[:5]
        assert self.writes > len(self._threads) * 2, "there was hardly any load"

    def is_alive(self) -> bool:
        return not self._failures

    def _join(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def check(self) -> None:
        """Everything that was ever acknowledged reads back, by one reader."""
        token = self._sign_in()
        for path, value in self.written.items():
            assert self._ask("GET", path, token)["value"] == value

    def _work(self, number: int) -> None:
        turn = 0
        token = ""
        while not self._stopping.is_set() and not self._failures:
            try:
                if turn % 20 == 0:
                    token = self._sign_in()
                path, value = f"load/{number}/{turn % _PATHS}", f"value {number} {turn}"
                self._ask("PUT", path, token, {"type": "note", "value": value})
                self.written[path] = value
                self.writes += 1
                for back in range(min(turn + 1, 3)):
                    known = f"load/{number}/{(turn - back) % _PATHS}"
                    answer = self._ask("GET", known, token)
                    if answer["value"] != self.written[known]:
                        raise AssertionError(f"{known} gave back another value")
                    self.reads += 1
                turn += 1
            except BaseException as error:
                self._failures.append(f"worker {number}, turn {turn}: {error!r}")

    def _sign_in(self) -> str:
        answer = self._send("POST", "/v1/auth/api-key-token", {"api_key": self._key}, "")
        return str(answer["access_token"])

    def _ask(self, method: str, path: str, token: str, body: Any = None) -> Any:
        return self._send(method, f"/v1/vaults/{self._vault}/secrets/{path}", body, token)

    def _send(self, method: str, path: str, body: Any, token: str) -> Any:
        request = urllib.request.Request(self.server.base_url + path, method=method)
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout=60) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{method} answered {error.code}: {error.read()!r}") from None


def fill(server: Server, demo: dict[str, Any], versions: int) -> None:
    """Write that many versions, 200 a request."""
    url = f"/v1/vaults/{demo['vault_id']}/secrets:batchWrite"
    for first in range(0, versions, 200):
        items = [
            {"path": f"bulk/{n}", "type": "note", "value": f"bulk value {n}"}
            for n in range(first, min(first + 200, versions))
        ]
        status, _ = server.request("POST", url, {"secrets": items}, token=demo["token"])
        assert status in (200, 201)

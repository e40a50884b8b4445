"""Where the same clients are pointed at: this service's Vault door, and a real OpenBao."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hvac

from benchmarks.rig.openbao import openbao
from tests.e2e.server import Server

BAO = Path(sys.executable).parent / "bao"
MOUNT = "clients"
_POLICY = """
path "clients/*" { capabilities = ["create", "read", "update", "patch", "delete", "list"] }
path "sys/mounts" { capabilities = ["read"] }
path "auth/token/create" { capabilities = ["update"] }
"""


@dataclass
class Target:
    """An address with a mount `clients` of KV version 2, and three ways to sign in."""

    name: str
    address: str
    token: str = field(repr=False)
    role_id: str
    secret_id: str = field(repr=False)
    email: str
    password: str = field(repr=False)

    def bao(
        self, *arguments: str, token: str | None = None, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run the CLI; `input` and other parameters of `subprocess.run` may follow."""
        return subprocess.run(
            [str(BAO), *arguments],
            env=self.environment(self.token if token is None else token) | more.pop("env", {}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **more,
        )

    def environment(self, token: str = "") -> dict[str, str]:
        """For `bao`, with nothing of the machine's own."""
        told = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "BAO_ADDR": self.address}
        return told | ({"BAO_TOKEN": token} if token else {})

    def hvac(self, token: str | None = None) -> hvac.Client:
        """A client that is signed in."""
        return hvac.Client(
            url=self.address, token=self.token if token is None else token, timeout=30
        )


@contextmanager
def ours(server: Server) -> Iterator[Target]:
    """The service: the demo account owns the mount, an agent may read and write in it."""
    demo = server.quickstart()
    # Of its own: other tests leave things in that of the demo account.
    made = server.request("POST", "/v1/vaults", {"name": MOUNT}, demo["token"])
    vault = made[1]["id"]
    made = server.request(
        "POST", "/v1/agents", {"name": f"ci-{os.urandom(4).hex()}"}, demo["token"]
    )
    policy = {
        "secret_path_pattern": "**",
        "principal_type": "agent",
        "principal_id": made[1]["agent"]["id"],
        "permissions": ["read", "write"],
    }
    status, _ = server.request("POST", f"/v1/vaults/{vault}/policies", policy, demo["token"])
    assert status == 201
    yield Target(
        "vaultsite",
        f"{server.base_url}/vault",
        demo["token"],
        made[1]["agent"]["id"],
        made[1]["api_key"],
        demo["email"],
        demo["password"],
    )


@contextmanager
def real(folder: Path) -> Iterator[Target]:
    """A real OpenBao, set up alike."""
    with openbao(folder) as running:
        admin = running.admin
        admin.sys.enable_secrets_engine("kv", path=MOUNT, options={"version": "2"})
        admin.sys.create_or_update_policy("demo", _POLICY)
        admin.sys.enable_auth_method("approle")
        admin.sys.enable_auth_method("userpass")
        approle = admin.auth.approle
        approle.create_or_update_approle("ci", token_policies=["demo"], token_ttl="15m")
        email, password = "demo", "correct horse battery staple"
        admin.auth.userpass.create_or_update_user(email, password, ["demo"])
        token = admin.auth.token.create(policies=["demo"], ttl="1h")["auth"]["client_token"]
        yield Target(
            "openbao",
            running.url,
            token,
            approle.read_role_id("ci")["data"]["role_id"],
            approle.generate_secret_id("ci")["data"]["secret_id"],
            email,
            password,
        )


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")


def normal(text: str, target: Target) -> str:
    """Output without what differs from server to server and run to run: times, ids, widths of tables."""
    text = text.replace(target.address, "<address>")
    text = re.sub(r"URL: (\w+) \S+/v1/", r"URL: \1 <address>/v1/", text)
    text = _TIME.sub("<time>", text)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>", text)
    text = re.sub(r"kv_[0-9a-f]{8}", "<accessor>", text)
    text = re.sub(r"[-=]{3,}", "---", text)
    return "\n".join(" ".join(line.split()) for line in text.splitlines()).strip()

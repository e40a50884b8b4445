"""node-vault, unchanged, against this service and against OpenBao: with the same results."""

import json
import os
import shutil
import subprocess

import pytest

from tests.e2e.server import ROOT

pytestmark = pytest.mark.no_cover

CLIENTS = ROOT / "tests" / "clients"


@pytest.mark.skipif(
    not shutil.which("node") or not (CLIENTS / "node_modules" / "node-vault").is_dir(),
    reason="needs node, and `npm ci --prefix tests/clients`",
)
def test_node_vault_sees_what_it_sees_of_openbao(targets):
    mine, theirs = (walk(target) for target in targets)
    assert mine["read"] == {"a": "1", "n": {"m": [1.5, True, None]}}
    assert mine["after"] == 403
    assert mine == theirs


def walk(target):
    told = {
        "PATH": os.environ["PATH"],
        "VAULT_ADDRESS": target.address,
        "ROLE_ID": target.role_id,
        "SECRET_ID": target.secret_id,
    }
    command = ["node", str(CLIENTS / "walk.js")]
    done = subprocess.run(
        command, env=told, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)

"""Ansible's community.hashi_vault, unchanged, against this service and against OpenBao: with the same
results."""

import json
import os
import subprocess

import pytest

from tests.clients.ansible import COLLECTIONS, PLAYBOOK, is_installed
from tests.e2e.server import ROOT

pytestmark = pytest.mark.no_cover

SEEN = {
    "first": True,
    "same": False,
    "stale": True,
    "read": {"a": "1", "n": 2},
    "version": 1,
    "absent": True,
    "not there": True,
    "looked up": {"a": "1", "n": 2},
    "listed": ["db"],
    "deleted": True,
    "gone": True,
    "stranger": True,
}


@pytest.mark.skipif(not is_installed(), reason="needs `python -m tests.clients.ansible`")
def test_ansible_sees_what_it_sees_of_openbao(targets, tmp_path):
    runs = [start(target, tmp_path) for target in targets]
    said = [process.communicate(timeout=300)[0] for process in runs]
    for target, process, told in zip(targets, runs, said, strict=True):
        assert process.returncode == 0, told[-3000:]
        assert json.loads((tmp_path / f"{target.name}.json").read_text()) == SEEN


def start(target, folder):
    given = folder / f"{target.name}-given.json"
    given.write_text(
        json.dumps(
            {
                "ansible_hashi_vault_url": target.address,
                "ansible_hashi_vault_auth_method": "approle",
                "ansible_hashi_vault_role_id": target.role_id,
                "ansible_hashi_vault_secret_id": target.secret_id,
                "email": target.email,
                "out": str(folder / f"{target.name}.json"),
            }
        )
    )
    home = folder / f"{target.name}-home"
    home.mkdir()
    return subprocess.Popen(
        [str(PLAYBOOK), str(ROOT / "tests" / "clients" / "playbook.yml"), "-e", f"@{given}"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_LOCALHOST_WARNING": "false",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

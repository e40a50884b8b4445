"""Ansible's community.hashi_vault, unchanged, against this service and against OpenBao.

    python -m tests.clients.ansible

A longer run, for what it installs: half a gigabyte, in a virtual environment of its own that is thrown away
(`--environment FOLDER` keeps one). Exit status 0: both gave the same.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tests.e2e.server import ROOT, serve
from tests.e2e.vault_targets import Target, ours, real

_PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    at: {url: "{{ address }}", engine_mount_point: clients}
    login: {auth_method: approle, role_id: "{{ role }}", secret_id: "{{ secret }}"}
  tasks:
    - community.hashi_vault.vault_kv2_write: "{{ at | combine(login) | combine({'path': 'ansible/db', 'data': {'a': '1', 'n': 2}}) }}"
      register: first
    - community.hashi_vault.vault_kv2_write: "{{ at | combine(login) | combine({'path': 'ansible/db', 'data': {'a': '1', 'n': 2}, 'read_before_write': true}) }}"
      register: same
    - community.hashi_vault.vault_kv2_write: "{{ at | combine(login) | combine({'path': 'ansible/db', 'data': {'a': '2'}, 'cas': 0}) }}"
      register: stale
      ignore_errors: true
    - community.hashi_vault.vault_kv2_get: "{{ at | combine(login) | combine({'path': 'ansible/db'}) }}"
      register: read
    - community.hashi_vault.vault_kv2_get: "{{ at | combine(login) | combine({'path': 'ansible/none'}) }}"
      register: absent
      ignore_errors: true
    - community.hashi_vault.vault_list: "{{ login | combine({'url': address, 'path': 'clients/metadata/ansible'}) }}"
      register: listed
    - community.hashi_vault.vault_kv2_delete: "{{ at | combine(login) | combine({'path': 'ansible/db'}) }}"
      register: deleted
    - community.hashi_vault.vault_kv2_get: "{{ at | combine(login) | combine({'path': 'ansible/db'}) }}"
      register: gone
      ignore_errors: true
    - copy:
        dest: "{{ out }}"
        content: "{{ {'first': first.changed, 'same': same.changed, 'stale': stale.failed, 'read': read.secret,
          'version': read.metadata.version, 'none': absent.msg is search('Invalid or missing path'),
          'listed': listed.data.data['keys'], 'deleted': deleted.changed, 'gone': gone.failed} | to_json }}"
"""  # noqa: E501


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environment", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = options.environment or folder / "environment"
        _install(environment)
        with serve(folder / "var") as server, ours(server) as first, real(folder / "bao") as second:
            mine, theirs = (_play(environment, folder, target) for target in (first, second))
    print(json.dumps({"vaultsite": mine, "openbao": theirs}, indent=2))
    is_whole = bool(mine["first"]) and mine["read"] == {"a": "1", "n": 2} and bool(mine["gone"])
    return 0 if mine == theirs and is_whole else 1


def _install(environment: Path) -> None:
    if (environment / "bin" / "ansible-playbook").exists():
        return
    venv.create(environment, with_pip=True)
    pins = ROOT / "requirements" / "clients.txt"
    command = [environment / "bin" / "pip", "install", "--quiet", "--require-hashes", "-r", pins]
    subprocess.run([str(part) for part in command], check=True)


def _play(environment: Path, folder: Path, target: Target) -> dict[str, object]:
    playbook, out = folder / "play.yml", folder / f"{target.name}.json"
    playbook.write_text(_PLAYBOOK)
    told = {
        "address": target.address,
        "role": target.role_id,
        "secret": target.secret_id,
        "out": str(out),
    }
    given = folder / "given.json"
    given.write_text(json.dumps(told))
    done = subprocess.run(
        [str(environment / "bin" / "ansible-playbook"), str(playbook), "-e", f"@{given}"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_LOCALHOST_WARNING": "false",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise SystemExit(target.name + done.stdout[-4000:] + done.stderr[-2000:])
    answer: dict[str, object] = json.loads(out.read_text())
    return answer


if __name__ == "__main__":
    sys.exit(main())

"""Install Ansible with the one collection that tests/e2e/test_vault_ansible.py runs.

    python -m tests.clients.ansible

Pins and hashes: requirements/clients.txt. The package `ansible` unpacks to half a gigabyte of collections,
so only `community.hashi_vault` is taken out of it. It takes about ten seconds, and none the second time.
"""

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

from tests.e2e.processes import ROOT

ENVIRONMENT = ROOT / "tests" / "clients" / "ansible-environment"
PLAYBOOK = ENVIRONMENT / "bin" / "ansible-playbook"
COLLECTIONS = ENVIRONMENT / "collections"
_PINS = ROOT / "requirements" / "clients.txt"
_WANTED = "ansible_collections/community/hashi_vault/"
_INSTALLED = ENVIRONMENT / "installed.txt"


def is_installed() -> bool:
    """Whether what is pinned now was installed to the end."""
    return _INSTALLED.exists() and _INSTALLED.read_text() == _PINS.read_text()


def install() -> None:
    """Make the environment. Raises CalledProcessError for a hash that is wrong, among others."""
    venv.create(ENVIRONMENT, with_pip=True, clear=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        exact = ("--no-deps", "--require-hashes", "--only-binary=:all:")
        _pip("download", *exact, "-r", str(_PINS), "-d", name)
        (whole,) = folder.glob("ansible-[0-9]*.whl")
        with zipfile.ZipFile(whole) as archive:
            wanted = [each for each in archive.namelist() if each.startswith(_WANTED)]
            archive.extractall(COLLECTIONS, wanted)
        others = [str(each) for each in folder.glob("*.whl") if each != whole]
        _pip("install", "--no-index", "--no-deps", *others)
    _INSTALLED.write_text(_PINS.read_text())


def _pip(*arguments: str) -> None:
    command = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*command, "--quiet", *arguments], check=True)


if __name__ == "__main__":
    if not is_installed():
        install()
    sys.exit(0)

import re
import subprocess
from importlib.metadata import PackageNotFoundError, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.supply_chain import ALLOWED, REQUIREMENTS, RUNTIME, audit, licences, pins, refused

pytestmark = pytest.mark.only_on("sqlite")


def test_every_licence_of_a_dependency_is_on_the_list():
    assert dict(refused((*RUNTIME, "dev"))) == {}


def test_the_list_is_looked_at():
    packages = pins()
    assert len(packages) > 60
    assert licences("django") == {"BSD-3-Clause"}
    assert licences("prometheus-client") == {"Apache-2.0", "BSD-2-Clause"}
    assert licences("certifi") == {"MPL-2.0"}
    assert licences("no-such-package") == {"unknown"}
    assert "GPL-3.0-only" not in ALLOWED


def test_no_pin_is_without_a_hash():
    for file in REQUIREMENTS.glob("*.txt"):
        for block in re.split(r"\n(?=[A-Za-z0-9])", file.read_text()):
            if "==" in block.partition("\n")[0]:
                assert "--hash=sha256:" in block, (file.name, block[:60])


@pytest.mark.parametrize("file", sorted(REQUIREMENTS.glob("*.txt")), ids=lambda file: file.stem)
def test_extras_are_pinned_with_what_has_them(file):
    """pip looks for the newest `coverage[toml]` although `coverage` is pinned, and finds no hash for it."""
    lines = re.findall(r"^[A-Za-z0-9][^\\;#\n]*==[^\\;\s]+", file.read_text(), re.MULTILINE)
    pinned = {canonicalize_name(each.name): each.extras for each in map(Requirement, lines)}
    for name, extras in pinned.items():
        for asked in map(Requirement, _requires(name)):
            environments = [{"extra": extra} for extra in ("", *extras)]
            if asked.marker is None or any(asked.marker.evaluate(one) for one in environments):
                assert asked.extras <= pinned.get(canonicalize_name(asked.name), asked.extras), name


def _requires(name):
    try:
        return requires(name) or []
    except PackageNotFoundError:
        return []


@pytest.mark.parametrize(
    ("answer", "status", "says"),
    [
        ("", 0, "NOTHING WAS CHECKED"),
        ('{"dependencies": [{"name": "a", "version": "1", "vulns": []}]}', 0, "1 packages, 0"),
        (
            '{"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1"}]}]}',
            1,
            "a 1: CVE-1",
        ),
    ],
)
def test_an_audit_tells_nothing_known_from_nobody_asked(monkeypatch, capsys, answer, status, says):
    def run(command, **_):
        for file in REQUIREMENTS.glob("*.txt"):
            assert str(file) in command
        return subprocess.CompletedProcess(command, 1, stdout=answer, stderr="no network")

    monkeypatch.setattr(subprocess, "run", run)
    assert audit() == status
    assert says in capsys.readouterr().out

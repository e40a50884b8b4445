import re
import subprocess

import pytest

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

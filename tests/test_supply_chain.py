import pytest

from tests.supply_chain import ALLOWED, RUNTIME, licences, pins, refused

pytestmark = pytest.mark.only_on("sqlite")


def test_every_licence_of_a_dependency_is_on_the_list():
    assert dict(refused((*RUNTIME, "dev"))) == {}


def test_the_list_is_looked_at():
    packages = pins()
    assert len(packages) > 60
    assert licences("django") == {"BSD-3-Clause"}
    assert licences("prometheus-client") == {"Apache-2.0", "BSD-2-Clause"}
    assert licences("certifi") == {"MPL-2.0"}
    assert len([name for name in packages if licences(name)]) > 60
    assert "GPL-3.0-only" not in ALLOWED


def test_no_pin_is_without_a_hash():
    import re

    from tests.supply_chain import REQUIREMENTS

    for file in REQUIREMENTS.glob("*.txt"):
        for block in re.split(r"\n(?=[A-Za-z0-9])", file.read_text()):
            if "==" in block.partition("\n")[0]:
                assert "--hash=sha256:" in block, (file.name, block[:60])

"""docs/threat-model.md lists the published attacks and the tests of each; the list is true."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "threat-model.md"
# Faults that were seen elsewhere and got no id are called by these words.
WITHOUT_ID = (
    "OpenBao fix without an id",
    "audits of this API family",
    "django-fernet-encrypted-fields",
    "PostgreSQL and Python limits",
    "two Django and Python vaults",
    "missing in one of them",
    "RFC 9700, 4.14.2",
    "RFC 8628, 5.1",
    "RFC 8628, 5.4",
)
ID = re.compile(r"CVE-\d{4}-\d+|GHSA(?:-\w{4}){3}|" + "|".join(WITHOUT_ID))


def docstrings():
    """Every test of this folder → its docstring."""
    return {
        f"{file.stem.removeprefix('test_')}::{node.name}": ast.get_docstring(node) or ""
        for file in HERE.glob("test_*.py")
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def rows():
    """Lesson, ids and tests of each row of the table."""
    section = PAGE.read_text().partition("## Published attacks")[2].partition("\n## ")[0]
    for line in section.splitlines():
        if line.startswith("| ") and not line.startswith(("| lesson", "| ---")):
            lesson, ids, tests = (cell.strip() for cell in line.strip("|").split("|"))
            yield lesson, set(ID.findall(ids)), re.findall(r"`([\w:]+)`", tests)


def test_each_row_has_tests_that_carry_its_ids():
    known = docstrings()
    found = list(rows())
    assert len(found) == 27
    for lesson, ids, tests in found:
        assert ids, lesson
        assert tests, lesson
        assert set(tests) <= known.keys(), lesson
        carried = set().union(*(ID.findall(known[test]) for test in tests))
        assert ids <= carried, lesson
        assert all(ids & set(ID.findall(known[test])) for test in tests), lesson


def test_each_test_that_carries_an_id_is_in_a_row():
    named = {test for _, _, tests in rows() for test in tests}
    carrying = {test for test, text in docstrings().items() if ID.search(text)}
    assert carrying == named

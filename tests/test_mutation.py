"""The tool for mutation testing: its table is whole, and what it makes of a file is the same program."""

import ast
import json
import os
import signal
import subprocess
import sys

import pytest

from tests.mutation import sample
from tests.mutation.forked import NO_TEST, PLAN
from tests.mutation.slices import APP, ROOT, SLICES, mutated_files, slice_of
from tests.mutation.workplace import shielded, undecorated

DECORATED = '''\
"""A module."""
from contextlib import contextmanager
from functools import lru_cache, wraps


def twice(function):
    @wraps(function)
    def call(*args):
        return function(*args) * 2

    return call


@twice
@lru_cache(maxsize=8)
def plain(n):
    """A docstring of
    two lines."""
    return n + 1


@contextmanager
def opened(n):
    yield n


class Box:
    def __init__(self, n):
        self.n = n

    @property
    def more(self):
        return self.n + 1

    @staticmethod
    def fixed():
        return 7

    @twice
    def last(self):
        return self.n
'''


def test_every_file_belongs_to_one_slice():
    for file in mutated_files():
        assert len([part.name for part in SLICES if part.holds(file)]) == 1, file


def test_every_glob_and_every_test_of_the_table_is_there():
    for part in SLICES:
        for glob in part.files:
            assert any(APP.glob(glob)), (part.name, glob)
        for test in part.tests:
            assert (ROOT / "tests" / test.partition("::")[0]).exists(), (part.name, test)


def test_services_are_mutated_but_for_what_is_named():
    assert "services/secrets/purge.py" in mutated_files()
    assert not any(file.startswith("services/operations/overview/") for file in mutated_files())
    assert slice_of("services/secrets/purge.py").name == "purge"
    assert slice_of("models/vault.py") is None


def test_wrapped_functions_do_what_decorated_ones_do():
    text = undecorated(DECORATED)
    spaces = [{}, {}]
    for source, space in zip((DECORATED, text), spaces, strict=True):
        exec(compile(source, "module", "exec"), space)
    for space in spaces:
        assert space["plain"](2) == 6
        assert space["plain"].__doc__.startswith("A docstring")
        with space["opened"](4) as inside:
            assert inside == 4
        box = space["Box"](1)
        assert (box.more, box.fixed(), box.last()) == (2, 7, 2)
    left = [
        ast.unparse(decorator)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and node.name != "call"
        for decorator in node.decorator_list
    ]
    assert left == ["staticmethod"]


@pytest.mark.parametrize("file", mutated_files())
def test_wrapping_moves_no_line(file):
    source = (APP / file).read_text()
    text = undecorated(source)
    ast.parse(text)
    before = [(n.name, n.lineno) for n in ast.walk(ast.parse(source)) if hasattr(n, "name")]
    after = [(n.name, n.lineno) for n in ast.walk(ast.parse(text)) if hasattr(n, "name")]
    assert [(n, line) for n, line in before if n] == [(n, line) for n, line in after if n]


@pytest.mark.parametrize("file", mutated_files())
def test_a_shield_is_on_every_line_but_the_chosen_and_changes_nothing(file):
    source = (APP / file).read_text()
    text = shielded(source, {1, 30})
    assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(source))
    marked = {n for n, line in enumerate(text.splitlines(), 1) if "pragma: no mutate" in line}
    assert not marked & {1, 30}
    statements = {n.lineno for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Return)}
    assert statements - {1, 30} <= marked


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A project of one file and one commit; `main` stands there."""

    def git(*arguments):
        who = ("-c", "user.name=x", "-c", "user.email=x@example.com")
        command = ["git", *who, *arguments]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    file = tmp_path / "secrets_app" / "services" / "secrets" / "purge.py"
    file.parent.mkdir(parents=True)
    file.write_text("a = 1\nb = 2\nc = 3\n")
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "one")
    monkeypatch.setattr(sample, "ROOT", tmp_path)
    return file, git


def test_changed_lines_are_those_of_the_branch_and_of_the_working_tree(repository):
    file, git = repository
    git("checkout", "-qb", "work")
    file.write_text("a = 1\nb = 20\nc = 3\nd = 4\n")
    git("commit", "-qam", "two")
    file.write_text("a = 1\nb = 20\nd = 4\ne = 5\n")
    (file.parent / "unknown.py").write_text("x = 1\n")
    git("add", ".")
    assert sample.changed_lines(sample._base(None)) == {"services/secrets/purge.py": {2, 3, 4}}


def test_on_main_itself_it_is_the_last_commit(repository):
    file, git = repository
    file.write_text("a = 1\nb = 2\nc = 30\n")
    git("commit", "-qam", "two")
    assert sample.changed_lines(sample._base(None)) == {"services/secrets/purge.py": {3}}


def test_without_a_revision_to_compare_with_there_is_no_sample(repository, capsys):
    sample.try_a_sample(since=None, most=1, seconds=1, seed=None, children=1)
    assert "no sample" in capsys.readouterr().out


TESTS_OF_MUTANTS = """
import os
import signal

def now():
    return os.environ["MUTANT_UNDER_TEST"]

def test_notices_the_first():
    assert now() != "m.x_f__mutmut_1"

def test_is_slow_and_ends_with_the_second():
    if now() == "m.x_f__mutmut_2":
        os.kill(os.getpid(), signal.SIGKILL)

def test_notices_the_third():
    assert now() != "m.x_f__mutmut_3"
"""


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize(("seconds", "third"), [(None, 1), (0.0, 0)])
def test_each_mutant_is_tried_in_a_process_of_its_own(tmp_path, seconds, third):
    """By the tests that reach it, the quick ones first, until one fails or the time is over."""
    tests = [
        f"test_it.py::{line[4:-3]}" for line in TESTS_OF_MUTANTS.splitlines() if "def test" in line
    ]
    (tmp_path / "test_it.py").write_text(TESTS_OF_MUTANTS)
    names = [f"m.x_{name}" for name in ("f__mutmut_1", "f__mutmut_2", "f__mutmut_3", "g__mutmut_1")]
    kept, plan = tmp_path / "m.py.meta", tmp_path / "plan.json"
    kept.write_text(json.dumps({"exit_code_by_key": dict.fromkeys(names), "more": 1}))
    mutants = dict.fromkeys(names, str(kept))
    plan.write_text(json.dumps({"mutants": mutants, "seconds": seconds, "children": 2}))
    stats = {
        "tests_by_mangled_function_name": {"m.x_f": tests},
        "duration_by_test": {tests[0]: 0.1, tests[1]: 0.2, tests[2]: 0.3},
    }
    (tmp_path / "mutmut-stats.json").write_text(json.dumps(stats))
    (tmp_path / "tiny.py").write_text('DATABASES = {"default": {"TEST": {"NAME": "./test"}}}')
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir=.", "-p", "tests.mutation.forked"]
    subprocess.run(
        [*command, "test_it.py"],
        cwd=tmp_path,
        env=os.environ
        | {
            PLAN: str(plan),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
            "DJANGO_SETTINGS_MODULE": "tiny",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "MUTANT_UNDER_TEST": "",
        },
        check=True,
        capture_output=True,
    )
    second = -signal.SIGKILL if seconds is None else 0
    assert json.loads(kept.read_text()) == {
        "exit_code_by_key": dict(zip(names, [1, second, third, NO_TEST], strict=True)),
        "more": 1,
    }

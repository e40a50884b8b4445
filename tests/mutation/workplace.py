"""A folder for each slice, in which mutmut works on a copy of the project. It is kept, so that a run that
was stopped is finished by the next one."""

import ast
import json
import os
import signal
import subprocess
import sys
import time
import tokenize
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from tests.mutation.forked import PLAN
from tests.mutation.slices import APP, ROOT, Slice

HOME = ROOT / ".mutation"
# Copied beside the app. What tests read of the repository is among it.
_COPIED = ("tests", "vaultsite", "docs", "deploy", "requirements", "benchmarks", ".ci")
_COPIED_FILES = (
    "manage.py",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "Makefile",
)
_MUTMUT = [str(Path(sys.executable).parent / "mutmut")]
# Run in the workplace, where mutmut finds its settings.
_NAMES = """
import sys
from pathlib import Path
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.utils.format_utils import get_mutant_name
for file in sys.argv[1:]:
    for name in mutate_file_contents(file, Path(file).read_text()).mutant_names:
        print(get_mutant_name(Path(file), name))
"""
_DIFFERENCES = """
import sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
for name in sys.argv[1:]:
    print(get_diff_for_mutant(name))
"""
_NO_MUTANT = "none-of-them"
_TRIES = ("-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "tests.mutation.forked")
_SECONDS_OF_A_MUTANT = 1.0  # of processor time
_NOT_WRAPPED_ANEW = ("staticmethod", "classmethod")

# mutmut's exit codes of a mutant's tests; what is left is a way to be killed.
_SURVIVED, _NO_TESTS = (0,), (5, 33)


@dataclass(frozen=True, slots=True)
class Result:
    """Names of mutants. One that made its tests hang or crash counts as killed."""

    killed: list[str]
    survived: list[str]
    untested: list[str]
    not_run: list[str]


class Workplace:
    """`only_lines`: of each file, named from `secrets_app/`, the lines to mutate; all without it."""

    def __init__(
        self, part: Slice, folder: Path, only_lines: dict[str, set[int]] | None = None
    ) -> None:
        self.part = part
        self.folder = folder
        self._only_lines = only_lines

    def fill(self) -> None:
        """Copy the project as it is now. What has not changed keeps its time, which mutmut goes by."""
        for name in _COPIED:
            for file in _files(ROOT / name):
                self._put(file.relative_to(ROOT), file.read_bytes())
        for name in _COPIED_FILES:
            self._put(Path(name), (ROOT / name).read_bytes())
        for file in _files(APP):
            name = file.relative_to(APP).as_posix()
            content = file.read_bytes()
            if self._is_mutated(name):
                text = undecorated(content.decode())
                if self._only_lines is not None:
                    text = shielded(text, self._only_lines[name])
                content = text.encode()
            self._put(file.relative_to(ROOT), content)
        database = ROOT / "tests" / "mutation" / "database.py"
        self._put(Path("conftest.py"), database.read_bytes())
        self._put(Path("pyproject.toml"), self._configuration().encode())

    def mutants(self) -> list[str]:
        """Names of all that `fill` made ready to be mutated."""
        command = [sys.executable, "-c", _NAMES, *self._mutated()]
        listed = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=True
        )
        return listed.stdout.split()

    def run(
        self,
        *mutants: str,
        seconds: float | None = None,
        children: int = 2,
        by_all_tests: bool = False,
    ) -> bool:
        """Try all mutants that were not tried yet, or the named ones; tells whether that came to its end.

        After `seconds` it is stopped; what it found by then is kept. A mutant is judged by as many of the
        tests that reach it as it may cost, or by all of them.
        """
        ends_at = None if seconds is None else time.monotonic() + seconds
        # With a name of no mutant, mutmut makes them, and finds which tests reach which function.
        prepared = [*_MUTMUT, "run", "--max-children", str(children), _NO_MUTANT]
        self._run(prepared, self.folder, ends_at)
        if _NO_MUTANT not in self.output():
            return False
        plan = self.folder / "plan.json"
        of_a_mutant = None if by_all_tests else _SECONDS_OF_A_MUTANT
        plan.write_text(
            json.dumps(
                {
                    "mutants": self._to_try(mutants),
                    "seconds": of_a_mutant,
                    "children": children,
                }
            )
        )
        tests = [f"tests/{name}" for name in self.part.tests]
        command = [sys.executable, "-m", "pytest", "--rootdir=.", *_TRIES, *tests]
        environment = {"MUTANT_UNDER_TEST": "", PLAN: str(plan)}
        return self._run(command, self.folder / "mutants", ends_at, environment) == 0

    def _run(
        self,
        command: list[str],
        folder: Path,
        ends_at: float | None,
        environment: dict[str, str] | None = None,
    ) -> int | None:
        """Exit status, None when the time was over."""
        with (self.folder / "output").open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=os.environ | (environment or {}),
                start_new_session=True,
                stdout=output,
                stderr=output,
            )
            try:
                return process.wait(None if ends_at is None else ends_at - time.monotonic())
            except subprocess.TimeoutExpired:
                return None
            finally:
                _end(process)

    def _to_try(self, names: tuple[str, ...]) -> dict[str, str]:
        """Mutants that were not tried yet, or the named ones, each with the file of its results."""
        return {
            key: str(file)
            for file in self._results()
            for key, code in json.loads(file.read_text())["exit_code_by_key"].items()
            if (key in names if names else code is None)
        }

    def _results(self) -> Iterator[Path]:
        kept = self.folder / "mutants" / "secrets_app"
        for file in sorted(kept.rglob("*.meta")):
            if self._is_mutated(file.relative_to(kept).as_posix().removesuffix(".meta")):
                yield file

    def output(self) -> str:
        """The end of what mutmut said."""
        return (self.folder / "output").read_text(errors="replace").replace("\r", "\n")[-3000:]

    def result(self) -> Result:
        """What is known of the slice's mutants."""
        codes: dict[str, int | None] = {}
        for file in self._results():
            codes |= json.loads(file.read_text())["exit_code_by_key"]
        picked = {
            "survived": [key for key, code in codes.items() if code in _SURVIVED],
            "untested": [key for key, code in codes.items() if code in _NO_TESTS],
            "not_run": [key for key, code in codes.items() if code is None],
        }
        rest = set(codes).difference(*picked.values())
        return Result(killed=sorted(rest), **picked)

    def differences(self, mutants: Iterable[str]) -> str:
        """What mutants change, as unified diffs."""
        command = [sys.executable, "-c", _DIFFERENCES, *mutants]
        shown = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True)
        return shown.stdout

    def _mutated(self) -> list[str]:
        return [
            f"secrets_app/{name}"
            for file in _files(APP)
            if self._is_mutated(name := file.relative_to(APP).as_posix())
        ]

    def _is_mutated(self, name: str) -> bool:
        return self.part.holds(name) and (self._only_lines is None or name in self._only_lines)

    def _put(self, name: Path, content: bytes) -> None:
        target = self.folder / name
        if not target.is_file() or target.read_bytes() != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    def _configuration(self) -> str:
        settings = {
            "source_paths": ["secrets_app"],
            "only_mutate": self._mutated(),
            "also_copy": [*_COPIED, *_COPIED_FILES, "conftest.py"],
            "pytest_add_cli_args": ["-p", "no:randomly", "-x"],
            "pytest_add_cli_args_test_selection": [f"tests/{name}" for name in self.part.tests],
            "use_git_change_detection": False,
            "on_dependency_change": "ignore",
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        return "\n".join([(ROOT / "pyproject.toml").read_text(), "[tool.mutmut]", *lines, ""])


def undecorated(source: str) -> str:
    """The same program, with functions wrapped after their definition in place of decorated ones, since
    mutmut leaves decorated functions alone. Each line keeps its number."""
    lines = source.splitlines()
    below: list[str] = []
    for node in _decorated(ast.parse(source)):
        first, last = node.decorator_list[0].lineno, node.end_lineno or node.lineno
        wrapped = node.name
        for decorator in reversed(node.decorator_list):
            wrapped = f"({ast.unparse(decorator)})({wrapped})"
        indent = " " * node.col_offset
        statement = f"{indent}{node.name} = {wrapped}"
        # A blank line follows each definition, or the file ends.
        if last < len(lines):
            if lines[last].strip():
                continue
            lines[last] = statement
        else:
            below.append(statement)
        for number in range(first - 1, node.lineno - 1):
            lines[number] = ""
    return "\n".join([*lines, *below, ""])


def shielded(source: str, but: set[int]) -> str:
    """The same program, with mutmut's mark on every line that is not to be mutated."""
    ends: dict[int, int] = {}
    for token in tokenize.generate_tokens(StringIO(source).readline):
        if token.type in (tokenize.NEWLINE, tokenize.NL, tokenize.COMMENT):
            ends[token.start[0]] = token.end[1]
    lines = source.splitlines()
    for number in ends:
        if number not in but and number <= len(lines) and lines[number - 1].strip():
            lines[number - 1] += "  # pragma: no mutate"
    return "\n".join([*lines, ""])


def _decorated(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    for node in tree.body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        for each in inner:
            if isinstance(each, ast.FunctionDef) and each.decorator_list:
                names = {ast.unparse(decorator) for decorator in each.decorator_list}
                if not names.intersection(_NOT_WRAPPED_ANEW) and not any("." in n for n in names):
                    yield each


def _files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            yield file


def _end(process: "subprocess.Popen[bytes]") -> None:
    """mutmut and the tests that it forked, which are a session of their own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

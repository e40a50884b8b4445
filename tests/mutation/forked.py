"""A plugin of pytest that tries mutants, each in a process forked from one in which all tests were run.

mutmut makes the mutants, and finds which tests reach which function. It also tries them, each by a pytest
of its own, which takes longer to start than most tests. Here it has started already.

Some functions are reached by every test, since all of them need a secret or a token. A mutant of these that
survives would run them all. So tests end after a bound of processor time, and those come first that are
quick, and that reach a function which few others reach: they are there for it.
"""

import functools
import gc
import json
import os
import resource
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
from _pytest.runner import runtestprotocol
from django.conf import settings

# A JSON object for this plugin, in the environment: see `Plan`.
PLAN = "MUTATION_PLAN"
NO_TEST, TIMEOUT = 33, 36  # as mutmut says it
_KILLED = 1
# A mutant that makes its tests hang is ended after so many seconds of processor time, or of time.
_MOST_CPU_S, _MOST_S = 30, 120


@dataclass(frozen=True, slots=True)
class Plan:
    """`mutants`: name → the file that mutmut keeps results of its module in; `seconds`: of processor time
    for the tests of one, all of them without."""

    mutants: dict[str, str]
    seconds: float | None
    children: int


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    if PLAN not in os.environ:
        return None
    plan = Plan(**json.loads(Path(os.environ[PLAN]).read_text()))
    for number, item in enumerate(session.items):
        after = session.items[number + 1] if number + 1 < len(session.items) else None
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        if session.testsfailed:
            raise session.Failed("without any mutant")
    _try_all(plan, session.items)
    return True


def _try_all(plan: Plan, items: list[pytest.Item]) -> None:
    tests = _tests_by_function(items)
    caches = [
        each
        for each in gc.get_objects()
        if type(each) is functools._lru_cache_wrapper
        and str(each.__module__).startswith("secrets_app")
    ]
    running: dict[int, tuple[str, float]] = {}
    left = sorted(plan.mutants, key=lambda name: len(tests.get(_function(name), ())), reverse=True)
    tried = 0
    while left or running:
        while left and len(running) < plan.children:
            name = left.pop()
            its_tests = tests.get(_function(name), [])
            if not its_tests:
                _keep(plan.mutants[name], name, NO_TEST)
                continue
            sys.stdout.flush()
            pid = os.fork()
            if not pid:
                for cache in caches:
                    cache.cache_clear()
                _judge(name, its_tests, plan.seconds)
            running[pid] = name, time.monotonic()
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid in running:
            name, _ = running.pop(pid)
            _keep(plan.mutants[name], name, os.waitstatus_to_exitcode(status))
            _remove_database(pid)
            tried += 1
            print(f"\r{tried}/{len(plan.mutants)}", end="")
            continue
        for pid, (_, began) in running.items():
            if time.monotonic() - began > _MOST_S:
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def _judge(name: str, tests: list[pytest.Item], seconds: float | None) -> NoReturn:
    """In the forked process: run tests until one fails."""
    os.environ["MUTANT_UNDER_TEST"] = name
    resource.setrlimit(resource.RLIMIT_CPU, (_MOST_CPU_S, _MOST_CPU_S))
    status = _KILLED
    with suppress(BaseException):
        for test, after in zip(tests, [*tests[1:], None], strict=True):
            if any(report.failed for report in runtestprotocol(test, log=False, nextitem=after)):
                os._exit(_KILLED)
            if seconds is not None and time.process_time() > seconds:
                break
        status = 0
    os._exit(status)


def _tests_by_function(items: list[pytest.Item]) -> dict[str, list[pytest.Item]]:
    """Function, as mutmut names it → the tests that reach it, in the order in which they are run."""
    stats = json.loads(Path("mutmut-stats.json").read_text())
    by_function: dict[str, list[str]] = stats["tests_by_mangled_function_name"]
    fewest: dict[str, int] = {}
    for tests in by_function.values():
        for test in tests:
            fewest[test] = min(fewest.get(test, len(tests)), len(tests))
    seconds: dict[str, float] = stats["duration_by_test"]
    known = {item.nodeid: item for item in items}
    return {
        function: [
            known[test]
            for test in sorted(tests, key=lambda test: fewest[test] * seconds.get(test, 0.0))
            if test in known
        ]
        for function, tests in by_function.items()
    }


def _function(mutant: str) -> str:
    return mutant.partition("__mutmut_")[0]


def _keep(file: str, mutant: str, status: int) -> None:
    kept = json.loads(Path(file).read_text())
    kept["exit_code_by_key"][mutant] = status
    written = Path(f"{file}.new")
    written.write_text(json.dumps(kept))
    written.replace(file)


def _remove_database(pid: int) -> None:
    """What conftest.py copied for a mutant whose process ended without much ado."""
    folder = Path(settings.DATABASES["default"]["TEST"]["NAME"]).parent
    for left in folder.glob(f"mutant-{pid}.sqlite3*"):
        left.unlink(missing_ok=True)

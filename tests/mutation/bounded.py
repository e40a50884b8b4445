"""A plugin of pytest that bounds what one mutant costs, in the process that is forked for it.

Some functions are reached by every test, since all of them need a secret or a token. A mutant of these that
survives would run them all. So the tests that say most of a function come first, and end after some seconds
of processor time: one that reaches a function which few others reach is there for it.
"""

import gc
import json
import os
import time
from pathlib import Path

import pytest

SECONDS = "MUTATION_SECONDS"  # of processor time; without it, all tests are run
_STATS = Path("mutants/mutmut-stats.json"), Path("mutmut-stats.json")


def pytest_sessionstart() -> None:
    # What was there before the fork is not searched for lost exceptions, as pytest does twice at its end.
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if _is_bounded():
        rarity = _rarity()
        items.sort(key=lambda item: rarity.get(item.nodeid, 0))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Whether a test is left out; it is not reported then."""
    if _is_bounded() and time.process_time() > float(os.environ[SECONDS]):
        return True
    return None


def _is_bounded() -> bool:
    return SECONDS in os.environ and "__mutmut_" in os.environ.get("MUTANT_UNDER_TEST", "")


def _rarity() -> dict[str, int]:
    """Test → how many tests reach the function that is reached least of those which it reaches."""
    found: dict[str, int] = {}
    for file in _STATS:
        if file.is_file():
            for tests in json.loads(file.read_text())["tests_by_mangled_function_name"].values():
                for test in tests:
                    found[test] = min(found.get(test, len(tests)), len(tests))
            break
    return found

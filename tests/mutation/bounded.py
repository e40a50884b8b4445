"""A plugin of pytest that bounds what one mutant costs, in the process that is forked for it.

Some functions are reached by every test, since all of them need a secret or a token. A mutant of these that
survives would run them all. So tests end after a bound of processor time, and those come first that are
quick, and that reach a function which few others reach: they are there for it.
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
        weights = _weights()
        items.sort(key=lambda item: weights.get(item.nodeid, 0.0))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Whether a test is left out; it is not reported then."""
    if _is_bounded() and time.process_time() > float(os.environ[SECONDS]):
        return True
    return None


def _is_bounded() -> bool:
    return SECONDS in os.environ and "__mutmut_" in os.environ.get("MUTANT_UNDER_TEST", "")


def _weights() -> dict[str, float]:
    """Test → its seconds, times how many tests reach the function it reaches that is reached least."""
    stats = next((json.loads(file.read_text()) for file in _STATS if file.is_file()), None)
    if stats is None:
        return {}
    fewest: dict[str, int] = {}
    for tests in stats["tests_by_mangled_function_name"].values():
        for test in tests:
            fewest[test] = min(fewest.get(test, len(tests)), len(tests))
    return {
        test: count * stats["duration_by_test"].get(test, 0.0) for test, count in fewest.items()
    }

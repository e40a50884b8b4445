"""Run a transaction again after it lost against another one, since the database undid all of it."""

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection

_ATTEMPTS = 4
_PAUSE_S = 0.02
# serialization_failure, deadlock_detected (PostgreSQL, Appendix A)
_LOST = ("40001", "40P01")

_P = ParamSpec("_P")
_R = TypeVar("_R")


def retried(act: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate a use case that is one transaction: run it up to four times.

    The pauses in between are random and grow; together they are below a fifth of a second. Within a
    caller's transaction the use case runs once, because all of that transaction was undone.
    """

    @wraps(act)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        for attempt in range(1, _ATTEMPTS):
            try:
                return act(*args, **kwargs)
            except OperationalError as error:
                lost = getattr(error.__cause__, "sqlstate", None) in _LOST
                if not lost or connection.in_atomic_block:
                    raise
            time.sleep(random.uniform(0, _PAUSE_S * 2**attempt))  # noqa: S311  (it protects no secret)
        return act(*args, **kwargs)

    return run

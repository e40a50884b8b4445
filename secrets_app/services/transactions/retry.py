"""A transaction that lost against another one is carried out anew: the database undid all of it."""

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
    """Decorates a use case that is one transaction: it is tried up to four times, with a growing pause
    drawn at random, below a fifth of a second in all. Within a transaction of the caller it is tried
    once, since all of that has been undone."""

    @wraps(act)
    def tried(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        for turn in range(1, _ATTEMPTS):
            try:
                return act(*args, **kwargs)
            except OperationalError as error:
                lost = getattr(error.__cause__, "sqlstate", None) in _LOST
                if not lost or connection.in_atomic_block:
                    raise
            time.sleep(random.uniform(0, _PAUSE_S * 2**turn))  # noqa: S311  (no secret hangs on it)
        return act(*args, **kwargs)

    return tried

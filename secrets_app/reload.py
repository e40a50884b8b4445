"""Load an object from files, and load it again when they change: keys can be exchanged without a
restart.
"""

import logging
import os
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from secrets_app.errors import ConfigurationError

logger = logging.getLogger("secrets_app.reload")

_T = TypeVar("_T")


class ReloadOnChange(Generic[_T]):
    """Keep one object as long as the arguments and files that it was made from stay the same.

    If the files change into something unusable, the earlier object stays in use and the reason is
    logged: a typo must not stop a running service. A process that starts with such files is refused.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._made: tuple[Hashable, _T] | None = None
        self._seen: Hashable = None
        self._lock = threading.Lock()

    def get(self, make: Callable[[], _T], *, arguments: Hashable, files: Sequence[str]) -> _T:
        """Return `make()`, or its earlier result for the same arguments and unchanged files.

        Raises ConfigurationError from `make` when there is no earlier result.
        """
        seen = (arguments, tuple(_stamp(file) for file in files))
        made = self._made
        if made is not None and self._seen == seen:
            return made[1]
        with self._lock:
            if self._made is not None and self._seen == seen:
                return self._made[1]
            try:
                self._made = (arguments, make())
            except ConfigurationError as error:
                if self._made is None or self._made[0] != arguments:
                    raise
                logger.error("%s stays as it was: %s", self._what, error.detail)
            self._seen = seen
            return self._made[1]

    def forget(self) -> None:
        """Load the object again at its next use."""
        with self._lock:
            self._made = self._seen = None


def _stamp(file: str) -> Hashable:
    """Return what changes when a file is written or replaced; None when it does not exist."""
    try:
        status = os.stat(file)  # noqa: PTH116  (asked on every request)
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode)

"""What is made of files, made anew when they change: keys can be exchanged without a restart."""

import logging
import os
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from secrets_app.errors import ConfigurationError

logger = logging.getLogger("secrets_app.reload")

_T = TypeVar("_T")


class ReloadOnChange(Generic[_T]):
    """Keeps one made object for as long as its arguments and files stay the same.

    When the files change into something that cannot be used, the object made before stays in use
    and the reason is logged: a slip of the editor must not stop a running service. A process that
    starts on such files is refused.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._made: tuple[Hashable, _T] | None = None
        self._seen: Hashable = None
        self._lock = threading.Lock()

    def get(self, make: Callable[[], _T], *, arguments: Hashable, files: Sequence[str]) -> _T:
        """`make()`, or what it returned for the same arguments and unchanged files.

        Raises ConfigurationError from `make` when there is nothing to fall back on.
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
        """Make it anew at the next use."""
        with self._lock:
            self._made = self._seen = None


def _stamp(file: str) -> Hashable:
    """What changes when a file is written or replaced; None when it is not there."""
    try:
        status = os.stat(file)  # noqa: PTH116  (asked on every request)
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode)

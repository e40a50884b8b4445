"""Show how far a long command is: a bar on a terminal, some lines elsewhere, nothing with --json."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_LINE_EVERY_S = 5.0


@contextmanager
def progress(what: str, *, total: int, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Yield a function that takes how many more of `total` are done. Writes to stderr."""
    if quiet:
        yield lambda _: None
    elif sys.stderr.isatty():
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(what, total=total)
            yield lambda number: bar.advance(task, number)
    else:
        yield _lines(what, total)


def _lines(what: str, total: int) -> Callable[[int], None]:
    done = 0
    last = time.monotonic()

    def advance(number: int) -> None:
        nonlocal done, last
        done += number
        now = time.monotonic()
        if done >= total or now - last >= _LINE_EVERY_S:
            last = now
            sys.stderr.write(f"{what}: {done} of {total}\n")

    return advance

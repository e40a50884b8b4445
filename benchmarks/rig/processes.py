"""What processes cost: processor time and memory of whole trees, read from the kernel."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

import psutil


def cpu_seconds(roots: Iterable[int]) -> float:
    """User and system time of the processes and all below them, those that have ended included."""
    total = 0.0
    for process in _trees(roots):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def memory_mib(roots: Iterable[int]) -> list[float]:
    """Resident memory of each process of the trees, the largest first."""
    sizes = []
    for process in _trees(roots):
        with suppress(psutil.NoSuchProcess):
            sizes.append(process.memory_info().rss / 2**20)
    return sorted(sizes, reverse=True)


def _trees(roots: Iterable[int]) -> Iterator[psutil.Process]:
    for root in roots:
        process = psutil.Process(root)
        yield process
        yield from process.children(recursive=True)

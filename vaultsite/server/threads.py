"""The threads that run Django. A library's executor makes a future, a lock and a condition for each call,
and wakes the thread that rested longest; here the one that ran last goes on, whose database connection
and caches are warm, and no more threads start than are busy at once."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

logger = logging.getLogger("vaultsite.server")

Job = Callable[[], None]


class Threads:
    """At most `most` threads. A job that finds all of them busy waits for the next one that is free."""

    def __init__(self, most: int, *, name: str) -> None:
        self._most = most
        self._name = name
        self._started = 0
        self._idle: list[SimpleQueue[Job]] = []
        self._waiting: deque[Job] = deque()
        self._lock = threading.Lock()

    def run(self, job: Job) -> None:
        """Have `job` run by a thread, now or when one is free."""
        with self._lock:
            if self._idle:
                inbox = self._idle.pop()
            elif self._started < self._most:
                self._started += 1
                inbox = SimpleQueue()
                name = f"{self._name}-{self._started}"
                threading.Thread(target=self._work, args=(inbox,), name=name, daemon=True).start()
            else:
                self._waiting.append(job)
                return
        inbox.put(job)

    def _work(self, inbox: "SimpleQueue[Job]") -> None:
        while True:
            job: Job | None = inbox.get()
            while job is not None:
                try:
                    job()
                except Exception:  # a thread that ended would never be replaced
                    logger.exception("a request failed outside Django")
                with self._lock:
                    job = self._waiting.popleft() if self._waiting else None
                    if job is None:
                        self._idle.append(inbox)

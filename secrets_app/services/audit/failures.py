"""Failed attempts: each an event of its own up to a rate, counted beyond it.

Anybody can send credentials that are none, so the number of events must not follow the number of requests.
An address may fail as often as `AUTH_FAILURE_RATE` allows; an IPv6 address stands for its /64. What fails
beyond that is counted in memory, and at the end of the window one event tells how many there were and why
(`auth.failure_burst`). All addresses together may leave `MOST_TIMES_THE_RATE` times the rate; one event
tells of the rest. So the log is complete in sum, and bounded in size.

Only failures are counted and only failures are refused: who has a valid credential passes, whatever else
comes from the same address. The memory is the process's own. Sums are written by a timer and when the
process ends. One that is killed loses what is not written yet, at most `MOST_UNWRITTEN` failures.
"""

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from multiprocessing.util import Finalize
from typing import Any

from django.db import Error, connections, transaction
from limits import RateLimitItem, parse

from secrets_app.conf import app_settings
from secrets_app.errors import CryptoError, TooManyRequests
from secrets_app.metrics import auth_failures
from secrets_app.services.audit.record import FAILURE, Resource, record
from secrets_app.services.caller import Actor

logger = logging.getLogger("secrets_app.audit.failures")

BURST = "auth.failure_burst"
# Of one process, within one window of the rate.
MOST_TIMES_THE_RATE = 10
MOST_NETWORKS = 10_000
MOST_BURSTS = 100
MOST_UNWRITTEN = 10_000
_TRIED_AGAIN_AFTER_S = 5.0
_IPV6_PREFIX = 64
_NOWHERE = "none"  # where there is no address, as for a Unix socket


def record_failure(
    action: str, *, actor: Actor, resource: Resource, details: dict[str, Any]
) -> None:
    """Record a failed attempt in a transaction of its own, or count it where that would be too many.

    `details` has a `reason`, and a `method` where there are several; both are codes.
    Raises TooManyRequests when the actor's address failed more often than AUTH_FAILURE_RATE allows, and
    what `record` does.
    """
    method = details.get("method", action)
    auth_failures(method).inc()
    rate = app_settings.AUTH_FAILURE_RATE
    if rate:
        what = f"{method} {details['reason']}"
        is_counted, wait_s = _failures.note(network_of(actor.address), what, _parse(rate))
        if wait_s is not None:
            raise TooManyRequests(math.ceil(wait_s))
        if is_counted:
            return
    with transaction.atomic():
        record(action, FAILURE, actor=actor, resource=resource, details=details)


def flush(*, everything: bool = False) -> None:
    """Write the sums of the windows that are over, or of all. What cannot be written now is kept."""
    _failures.flush(everything=everything)


def forget() -> None:
    """Begin anew without writing anything, for tests."""
    _failures.forget()


@lru_cache(maxsize=4096)
def network_of(address: str | None) -> str:
    """Return what an address is counted as: itself, or the /64 of an IPv6 address."""
    if address is None:
        return _NOWHERE
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ip_network((parsed, _IPV6_PREFIX), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)


@dataclass(slots=True)
class _Sum:
    """Failures that were counted, of one network; of several where `network` is None."""

    network: str | None
    within_s: int
    reasons: Counter[str] = field(default_factory=Counter)
    networks: set[str] = field(default_factory=set)

    def add(self, network: str, what: str) -> None:
        self.reasons[what] += 1
        if len(self.networks) < MOST_NETWORKS:
            self.networks.add(network)

    def merge(self, other: "_Sum") -> None:
        self.reasons += other.reasons
        self.networks |= other.networks
        self.within_s = max(self.within_s, other.within_s)

    def record(self) -> None:
        details: dict[str, Any] = {
            "more": self.reasons.total(),
            "within_s": self.within_s,
            "reasons": dict(sorted(self.reasons.items())),
        }
        address = None
        if self.network is None:
            details["networks"] = len(self.networks)
        elif self.network != _NOWHERE:
            address, _, prefix = self.network.partition("/")
            details |= {"network": self.network} if prefix else {}
        actor = Actor(None, "anonymous", address)
        record(BURST, FAILURE, actor=actor, resource=Resource("principal"), details=details)


@dataclass(slots=True)
class _Window:
    """How often a network has failed since its window began; None stands for all of them."""

    network: str | None
    ends: float
    counted: _Sum
    count: int = 0


class _Failures:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        # All have the same length, so the first to end stands first.
        self._windows: dict[str | None, _Window] = {}
        self._due: list[_Sum] = []
        self._unwritten = 0
        self._timer: threading.Timer | None = None
        self._writes_at_exit = False

    def note(self, network: str, what: str, rate: RateLimitItem) -> tuple[bool, float | None]:
        """Count one failure. Returns whether that is all, since it must not be an event of its own, and
        for how many seconds its network is beyond its rate, None where it is not."""
        now = time.time()
        with self._lock:
            self._end_windows(now)
            everybody = self._window(None, now, rate)
            own = self._windows.get(network)
            if own is None and len(self._windows) <= MOST_NETWORKS:
                own = self._window(network, now, rate)
            if own is not None:
                own.count += 1
            is_beyond = own is not None and own.count > rate.amount
            is_counted = is_beyond or own is None or everybody.count >= _most(rate)
            if is_counted:
                into = own if own is not None and is_beyond else everybody
                into.counted.add(network, what)
                self._unwritten += 1
                self._write_in_time(now)
            else:
                everybody.count += 1
            is_full = is_counted and self._unwritten % MOST_UNWRITTEN == 0
        if is_full:
            self.flush(everything=True)
        return is_counted, own.ends - now if own is not None and is_beyond else None

    def flush(self, *, everything: bool) -> None:
        with self._lock:
            self._end_windows(time.time())
            if everything:
                self._take_all()
            due, self._due = self._due, []
        if not due:
            return
        total = sum(each.reasons.total() for each in due)
        due = _merged(due)
        try:
            with transaction.atomic():
                for each in due:
                    each.record()
        except (Error, CryptoError) as error:
            logger.warning("counted failures cannot be recorded yet: %s", type(error).__name__)
            with self._lock:
                self._due += due
        else:
            with self._lock:
                self._unwritten -= total

    def forget(self) -> None:
        with self._lock:
            timer, self._timer = self._timer, None
            self._windows, self._due, self._unwritten = {}, [], 0
        if timer is not None:
            timer.cancel()
            timer.join()

    def _window(self, network: str | None, now: float, rate: RateLimitItem) -> _Window:
        found = self._windows.get(network)
        if found is None:
            length_s = rate.get_expiry()
            found = _Window(network, now + length_s, _Sum(network, length_s))
            self._windows[network] = found
        return found

    def _end_windows(self, now: float) -> None:
        while self._windows:
            first = next(iter(self._windows.values()))
            if first.ends > now:
                return
            del self._windows[first.network]
            self._take(first)

    def _take_all(self) -> None:
        for window in self._windows.values():
            self._take(window)

    def _take(self, window: _Window) -> None:
        if window.counted.reasons:
            self._due.append(window.counted)
            window.counted = _Sum(window.network, window.counted.within_s)

    def _write_in_time(self, now: float) -> None:
        """Have a timer write what is counted when its window ends."""
        if not self._writes_at_exit:
            self._writes_at_exit = True
            # Not by `atexit`: a process that multiprocessing has forked, as a worker of a server is, does
            # not run what is registered there.
            Finalize(None, self._write_last, exitpriority=0)
        if self._timer is not None:
            return
        ends = [window.ends for window in self._windows.values() if window.counted.reasons]
        wait_s = _TRIED_AGAIN_AFTER_S if self._due else max(0.0, min(ends) - now)
        self._timer = threading.Timer(wait_s, self._write_what_is_over)
        self._timer.daemon = True
        self._timer.start()

    def _write_what_is_over(self) -> None:
        try:
            self.flush(everything=False)
        finally:
            connections.close_all()
            with self._lock:
                if self._timer is threading.current_thread():
                    self._timer = None
                    if self._unwritten:
                        self._write_in_time(time.time())

    def _write_last(self) -> None:
        try:
            self.flush(everything=True)
        except Exception:
            logger.warning("counted failures were lost: %d", self._unwritten)


def _most(rate: RateLimitItem) -> int:
    return rate.amount * MOST_TIMES_THE_RATE


def _merged(sums: Sequence[_Sum]) -> list[_Sum]:
    """Those of many networks become one, so that their number is bounded: all but the largest."""
    rest = _Sum(None, 0)
    largest = sorted(
        (each for each in sums if each.network is not None),
        key=lambda each: each.reasons.total(),
        reverse=True,
    )
    for each in [*largest[MOST_BURSTS:], *(each for each in sums if each.network is None)]:
        rest.merge(each)
    return largest[:MOST_BURSTS] + ([rest] if rest.reasons else [])


_parse = lru_cache(maxsize=16)(parse)
_failures = _Failures()

"""Where the keys of issuers come from: fetched when they are needed, and kept within bounds.

A set of keys is good for `FRESH_S`. After that it is fetched again, and while that fails it serves for up
to `KEPT_S`. For a key that is not in it, it is fetched again at most once in `REFETCH_S`. Whoever needs a
set that is being fetched waits for that, so many sign-ins cost one request; but few may wait or be fetched
at once, fewer for the same holder, so that slow issuers hold up nobody but those who trust them.
"""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from secrets_app.errors import IssuerUnavailable, OutboundError, Unauthenticated
from secrets_app.federation.key_sets import KeySet, KeySetError, parse_key_set
from secrets_app.outbound import anywhere, is_public, parse_url, send
from secrets_app.strict_json import parse_json

DISCOVERY = "/.well-known/openid-configuration"
TIMEOUT_S = 5.0
MOST_BYTES = 256 * 1024
FRESH_S, KEPT_S, REFETCH_S = 600, 3600, 60
# After a failure, while there are no keys that could serve.
_RETRY_S = 15
MOST_SOURCES = 500
MOST_WAITING, MOST_WAITING_OF_ONE = 16, 4


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where an issuer's keys are: at `jwks_url`, or where its discovery document says.

    `is_trusted`: an operator has named the issuer, so it and the place that it names may be anywhere, with
    the certificate authorities of `ca_file`. It is never set together with `jwks_url`.
    """

    issuer: str
    jwks_url: str = ""
    is_trusted: bool = False
    ca_file: str | None = None


def fetch_keys(source: KeySource) -> KeySet:
    """Fetch an issuer's keys: two requests, or one with `jwks_url`. Raises IssuerUnavailable."""
    ends = time.monotonic() + TIMEOUT_S
    try:
        url = source.jwks_url or _named_by_discovery(source, ends)
        return parse_key_set(_document(url, source, ends))
    except KeySetError:
        raise IssuerUnavailable("malformed_keys") from None
    except IssuerUnavailable:
        raise
    except OutboundError as error:
        raise IssuerUnavailable(error.reason) from None


def _named_by_discovery(source: KeySource, ends: float) -> str:
    """OpenID Connect Discovery 1.0, 4: the document must name the issuer that was asked for."""
    found = _document(source.issuer.removesuffix("/") + DISCOVERY, source, ends)
    if not isinstance(found, dict) or found.get("issuer") != source.issuer:
        raise IssuerUnavailable("other_issuer")
    url = found.get("jwks_uri")
    if not isinstance(url, str):
        raise IssuerUnavailable("no_jwks_uri")
    return url


def _document(url: str, source: KeySource, ends: float) -> Any:
    answer = send(
        "GET",
        parse_url(url, any_port=source.is_trusted),
        timeout_s=max(0.001, ends - time.monotonic()),
        most_bytes=MOST_BYTES,
        may_reach=anywhere if source.is_trusted else is_public,
        headers={"Accept": "application/json, application/jwk-set+json"},
        ca_file=source.ca_file,
    )
    if answer.status != 200:
        raise IssuerUnavailable("not_found")
    try:
        return parse_json(answer.body)
    except ValueError:
        raise IssuerUnavailable("malformed_keys") from None


@dataclass(slots=True)
class _Kept:
    """`holder`: whose identity named the source first."""

    holder: Hashable
    keys: KeySet | None = None
    fetched_at: float = 0.0
    not_before: float = 0.0
    failure: str | None = None
    under_way: threading.Event | None = field(default=None, repr=False)

    def serving(self, now: float) -> KeySet | None:
        # A clock that was set back makes nothing younger.
        return self.keys if 0 <= now - self.fetched_at < KEPT_S else None


class IssuerKeys:
    """The keys of all issuers that a process has met lately."""

    def __init__(self, fetch: Callable[[KeySource], KeySet] = fetch_keys) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._kept: OrderedDict[KeySource, _Kept] = OrderedDict()
        # Of each holder, how many wait, and how many sets are being fetched.
        self._waiting: Counter[Hashable] = Counter()
        self._running: Counter[Hashable] = Counter()

    def find(self, source: KeySource, kid: str | None, algorithm: str, *, holder: Hashable) -> Any:
        """The key that a token names. `holder` is whose identity asks.

        Raises Unauthenticated where the issuer has no such key, IssuerUnavailable where it cannot be asked.
        """
        now = time.time()
        with self._lock:
            kept = self._entry(source, holder)
            keys = kept.serving(now)
            key = None if keys is None else keys.find(kid, algorithm)
            if key is not None and now - kept.fetched_at < FRESH_S:
                return key
            is_first = self._begin(source, kept, holder, now)
            under_way = kept.under_way
        # Where a key is known, one looks whether it still is, and the others go on.
        if under_way is not None and (key is None or is_first):
            with self._waits(holder) as may_wait:
                if may_wait:
                    under_way.wait(TIMEOUT_S + 1)
        return self._found(kept, kid, algorithm)

    def forget(self) -> None:
        """Fetch everything anew, for tests."""
        with self._lock:
            self._kept.clear()

    def _entry(self, source: KeySource, holder: Hashable) -> _Kept:
        kept = self._kept.get(source)
        if kept is None:
            kept = self._kept[source] = _Kept(holder)
            if len(self._kept) > MOST_SOURCES:
                self._forget_one(holder)
        self._kept.move_to_end(source)
        return kept

    def _forget_one(self, newest: Hashable) -> None:
        """Of whoever has brought the most, so that nobody pushes out the keys of others."""
        counts = Counter(each.holder for each in self._kept.values())
        most = max(counts, key=lambda each: (counts[each], each == newest))
        del self._kept[next(name for name, each in self._kept.items() if each.holder == most)]

    def _begin(self, source: KeySource, kept: _Kept, holder: Hashable, now: float) -> bool:
        """Have the keys fetched, if nobody does and it is time; returns whether it was begun."""
        is_early = now < kept.not_before <= now + KEPT_S
        if kept.under_way is not None or is_early or not _has_room(self._running, holder):
            return False
        done = threading.Event()
        # A daemon of its own, since looking a name up cannot be broken off.
        thread = threading.Thread(
            target=self._run, args=(source, kept, holder, done), name="issuer-keys", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the system has no room for one
            return False
        # It waits for the lock before it says that it is done.
        kept.under_way = done
        self._running[holder] += 1
        return True

    def _run(self, source: KeySource, kept: _Kept, holder: Hashable, done: threading.Event) -> None:
        keys, failure = None, "failed"
        try:
            keys = self._fetch(source)
        except OutboundError as error:
            failure = error.reason
        finally:
            now = time.time()
            with self._lock:
                if keys is not None:
                    kept.keys, kept.fetched_at, kept.failure = keys, now, None
                    kept.not_before = now + REFETCH_S
                else:
                    kept.failure = failure
                    kept.not_before = now + (REFETCH_S if kept.serving(now) else _RETRY_S)
                kept.under_way = None
                _give_back(self._running, holder)
            done.set()

    @contextmanager
    def _waits(self, holder: Hashable) -> Iterator[bool]:
        with self._lock:
            may_wait = _has_room(self._waiting, holder)
            if may_wait:
                self._waiting[holder] += 1
        try:
            yield may_wait
        finally:
            if may_wait:
                with self._lock:
                    _give_back(self._waiting, holder)

    def _found(self, kept: _Kept, kid: str | None, algorithm: str) -> Any:
        with self._lock:
            keys = kept.serving(time.time())
            key = None if keys is None else keys.find(kid, algorithm)
            if key is not None:
                return key
            if keys is None or kept.failure is not None:
                raise IssuerUnavailable(kept.failure or "busy")
            if kept.under_way is not None:  # still, so nobody knows
                raise IssuerUnavailable("busy")
        raise Unauthenticated("unknown_key")


def _has_room(taken: Counter[Hashable], holder: Hashable) -> bool:
    return taken.total() < MOST_WAITING and taken[holder] < MOST_WAITING_OF_ONE


def _give_back(taken: Counter[Hashable], holder: Hashable) -> None:
    taken[holder] -= 1
    if not taken[holder]:
        del taken[holder]


issuer_keys = IssuerKeys()

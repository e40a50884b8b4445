"""Keys of issuers in memory: who shares a fetch, who waits for it, and what is kept of whom."""

import threading
import time

import pytest

from secrets_app.errors import IssuerUnavailable
from secrets_app.federation import issuers as federation
from secrets_app.federation.issuers import IssuerKeys, KeySource
from secrets_app.federation.key_sets import parse_key_set
from tests.issuers import jwk


def source(name="i"):
    return KeySource(f"https://{name}.example.com")


class Fetching:
    """Fetches that wait until they are let go, each with a set of one key."""

    def __init__(self):
        self.count, self.gate = 0, threading.Event()

    def __call__(self, _):
        self.count += 1
        if not self.gate.wait(10):
            raise IssuerUnavailable("timeout")
        return parse_key_set({"keys": [jwk("rsa")]})


def waiting(keys, number, holder, found, at=None):
    def ask():
        try:
            found.append(keys.find(at or source(), "rsa", "RS256", holder=holder))
        except IssuerUnavailable as error:
            found.append(error.reason)

    threads = [threading.Thread(target=ask) for _ in range(number)]
    for thread in threads:
        thread.start()
    return threads


def until(condition):
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)


def test_many_that_need_one_issuer_share_a_fetch_and_few_wait():
    fetch, found = Fetching(), []
    keys = IssuerKeys(fetch)
    threads = waiting(keys, 12, "alice", found)
    until(lambda: len(found) == 8)
    assert found == ["busy"] * 8
    # Whose issuer answers is not held up by those who wait for another.
    fetch.gate.set()
    for thread in threads:
        thread.join(5)
    assert fetch.count == 1
    assert len([each for each in found if each != "busy"]) == 4
    more = []
    for thread in waiting(keys, 20, "alice", more):
        thread.join(5)
    assert "busy" not in more
    assert fetch.count == 1


def alice_is_served_beside(*, issuers, each, refused):
    """Mallory asks slow issuers, each so many times at once, and is told so often that it is busy;
    alice's quick one answers meanwhile. Returns all keys, and the slow fetches, which have ended."""
    slow, quick = Fetching(), Fetching()
    quick.gate.set()
    keys = IssuerKeys(lambda asked: (quick if asked == source("quick") else slow)(asked))
    found, own = [], []
    threads = []
    for number in range(issuers):
        threads += waiting(keys, each, "mallory", found, at=source(f"slow-{number}"))
    until(lambda: len(found) == refused)
    threads += waiting(keys, 1, "alice", own, at=source("quick"))
    until(lambda: own)
    assert own[0] != "busy"
    slow.gate.set()
    for thread in threads:
        thread.join(5)
    return keys, slow


def test_slow_issuers_of_some_leave_room_for_others():
    alice_is_served_beside(issuers=3, each=6, refused=14)


def test_one_owner_with_many_slow_issuers_leaves_room_for_others():
    """Whoever names issuers can name as many as there are places: few are asked for him at once."""
    keys, slow = alice_is_served_beside(issuers=20, each=1, refused=16)
    assert slow.count == 4
    # They are given back.
    own = []
    threads = waiting(keys, 1, "mallory", own, at=source("slow-0"))
    threads += waiting(keys, 1, "mallory", own, at=source("slow-19"))
    for thread in threads:
        thread.join(5)
    assert "busy" not in own


def test_an_issuer_is_asked_again_after_a_moment_without_room_for_a_thread(monkeypatch):
    fetch = Fetching()
    fetch.gate.set()
    keys = IssuerKeys(fetch)

    def refuse(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(federation.threading.Thread, "start", refuse)
        with pytest.raises(IssuerUnavailable) as busy:
            keys.find(source(), "rsa", "RS256", holder="alice")
    assert busy.value.reason == "busy"
    assert keys.find(source(), "rsa", "RS256", holder="alice")


def test_what_is_kept_of_issuers_is_bounded(monkeypatch):
    monkeypatch.setattr(federation, "MOST_SOURCES", 5)
    fetch = Fetching()
    fetch.gate.set()
    keys = IssuerKeys(fetch)
    for number in range(12):
        assert keys.find(source(f"i{number}"), "rsa", "RS256", holder="alice")
    assert len(keys._kept) == 5
    assert keys.find(source("i11"), "rsa", "RS256", holder="alice")
    assert fetch.count == 12


def test_many_sources_of_one_owner_push_out_no_keys_of_others(monkeypatch):
    """Keys serve for an hour while their issuer is away: nobody else shortens that by naming URLs."""
    monkeypatch.setattr(federation, "MOST_SOURCES", 5)
    fetch = Fetching()
    fetch.gate.set()
    keys = IssuerKeys(fetch)
    for number in range(3):
        assert keys.find(source(f"alice-{number}"), "rsa", "RS256", holder="alice")
    for number in range(12):
        assert keys.find(source(f"mallory-{number}"), "rsa", "RS256", holder="mallory")
    fetch.count = 0
    for number in range(3):
        assert keys.find(source(f"alice-{number}"), "rsa", "RS256", holder="alice")
    assert fetch.count == 0
    assert len(keys._kept) == 5

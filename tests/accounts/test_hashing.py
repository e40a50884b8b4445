"""Passwords are hashed a few at a time, whatever the number of requests."""

import threading
import time

import argon2
import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher

from tests.api.test_concurrency import all_at_once
from vaultsite.accounts.hashing import MOST_AT_ONCE, BoundedArgon2PasswordHasher

pytestmark = pytest.mark.only_on("sqlite")


@pytest.fixture
def hasher():
    small = BoundedArgon2PasswordHasher()
    small.memory_cost, small.time_cost = 1024, 1
    return small


def test_a_hash_is_what_django_knows_as_argon2(hasher):
    encoded = hasher.encode("correct horse", hasher.salt())
    assert hasher.verify("correct horse", encoded)
    assert not hasher.verify("wrong horse", encoded)
    assert Argon2PasswordHasher().verify("correct horse", encoded)


def test_so_many_at_once_and_no_more(hasher, monkeypatch):
    encoded = hasher.encode("correct horse", hasher.salt())
    lock, running, most = threading.Lock(), 0, 0
    verify = argon2.PasswordHasher.verify

    def counted(*arguments):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)  # so that all are there
        try:
            return verify(*arguments)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(argon2.PasswordHasher, "verify", counted)
    answers = all_at_once(lambda _: hasher.verify("correct horse", encoded), 16)
    assert answers == [True] * 16
    assert most == MOST_AT_ONCE

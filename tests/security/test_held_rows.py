"""Who waits for a lock waits alone (issue 14, point 5): one row that somebody holds for long keeps nobody
waiting but those who want that very row."""

import threading
import time
from contextlib import contextmanager
from uuid import uuid4

import pytest
from django.db import connections, transaction

from secrets_app.models import Secret, SecretVersion, VaultKey
from tests.cast import Api, body, secret_url, vault_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.only_on("postgresql")]

# Whoever waits for the lock waits for all of it; nobody else may come near.
HELD_S, PROMPT_S = 4.0, 2.0


@contextmanager
def held(take):
    """While the block runs, and HELD_S at most, another connection has done `take` and not committed."""
    taken, done = threading.Event(), threading.Event()

    def hold():
        try:
            with transaction.atomic():
                take()
                taken.set()
                done.wait(HELD_S)
                transaction.set_rollback(True)
        finally:
            connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    assert taken.wait(10)
    try:
        yield done
    finally:
        done.set()
        holder.join()


def started(act):
    """A thread that does `act`; `result` is what came of it."""

    def work():
        try:
            thread.result = act()
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.result = None
    thread.start()
    return thread


def others_are_prompt(alice, elsewhere):
    """Reads and writes of another vault, several at once, while something is held."""
    token = alice.token

    def read_and_write(number):
        api = Api(token)
        began = time.monotonic()
        answers = [
            api.put(secret_url(elsewhere, f"new/{number}"), body()).status_code,
            api.put(secret_url(elsewhere, "known"), body()).status_code,
            api.get(secret_url(elsewhere, "known")).status_code,
        ]
        return answers, time.monotonic() - began

    threads = [started(lambda n=n: read_and_write(n)) for n in range(4)]
    for thread in threads:
        thread.join()
    for thread in threads:
        answers, took = thread.result
        assert answers == [201, 201, 200]
        assert took < PROMPT_S


@pytest.fixture
def elsewhere(alice):
    """Another vault, with a secret in it."""
    vault = vault_of(alice, "elsewhere")
    assert alice.api.put(secret_url(vault, "known"), body()).status_code == 201
    return vault


def test_an_uncommitted_insert_of_a_path_keeps_only_writers_of_that_path_waiting(
    alice, vault, elsewhere
):
    token = alice.token
    url = secret_url(vault, "contended")
    with held(lambda: Secret.objects.create(vault=vault, path="contended")) as done:
        waiting = [started(lambda: Api(token).put(url, body()).status_code) for _ in range(3)]
        time.sleep(0.5)
        others_are_prompt(alice, elsewhere)
        assert all(thread.is_alive() for thread in waiting)
        done.set()
        for thread in waiting:
            thread.join()
    assert [thread.result for thread in waiting] == [201] * 3
    # Nothing was stored twice.
    assert list(
        SecretVersion.objects.filter(secret__path="contended")
        .order_by("number")
        .values_list("number", flat=True)
    ) == [1, 2, 3]


def test_a_held_secret_keeps_only_its_own_writers_waiting(alice, vault, elsewhere):
    alice.api.put(secret_url(vault, "held"), body())
    token = alice.token

    def take():
        Secret.objects.filter(path="held").update(current_version=1)

    with held(take) as done:
        waiting = started(lambda: Api(token).put(secret_url(vault, "held"), body()).status_code)
        time.sleep(0.5)
        others_are_prompt(alice, elsewhere)
        done.set()
        waiting.join()
    assert waiting.result == 201


def test_a_held_vault_key_keeps_only_writers_of_its_vault_waiting(alice, vault, elsewhere):
    """What a foreign key refers to is locked at the commit itself."""
    alice.api.put(secret_url(vault, "known"), body())
    token = alice.token

    def take():
        list(VaultKey.objects.select_for_update().filter(vault=vault))

    with held(take) as done:
        waiting = [
            started(lambda p=p: Api(token).put(secret_url(vault, p), body()).status_code)
            for p in ("known", f"new/{uuid4()}")
        ]
        time.sleep(0.5)
        others_are_prompt(alice, elsewhere)
        assert all(thread.is_alive() for thread in waiting)
        done.set()
        for thread in waiting:
            thread.join()
    assert [thread.result for thread in waiting] == [201, 201]


def test_a_held_version_keeps_only_its_counted_reads_waiting(alice, vault, elsewhere):
    url = secret_url(vault, "counted")
    alice.api.put(url, body(max_access_count=2))
    token = alice.token

    def take():
        list(SecretVersion.objects.select_for_update().filter(secret__path="counted"))

    with held(take) as done:
        waiting = [started(lambda: Api(token).get(url).status_code) for _ in range(3)]
        time.sleep(0.5)
        others_are_prompt(alice, elsewhere)
        assert all(thread.is_alive() for thread in waiting)
        done.set()
        for thread in waiting:
            thread.join()
    assert sorted(thread.result for thread in waiting) == [200, 200, 410]

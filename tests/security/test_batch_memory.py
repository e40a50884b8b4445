"""What batches hold in memory is bounded, for one and for all of a process (issue 14, point 4)."""

import json
import threading
import time

import pytest
from django.db import connections

from secrets_app.models import AuditEvent, SecretVersion
from secrets_app.services.secrets import batch_memory, batch_read
from secrets_app.services.secrets.batch_memory import Share
from tests.cast import Api, allow, body, secret_url

SIZE = 100_000
MANY = [f"large/{n}" for n in range(4)]


def bounded(settings, **bounds):
    settings.SECRETS_APP = settings.SECRETS_APP | bounds


@pytest.fixture
def large(alice, vault):
    """Four values of 100 kB."""
    for path in MANY:
        assert alice.api.put(secret_url(vault, path), body("v" * SIZE)).status_code == 201
    return vault


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(batch_memory, "LONGEST_WAIT_S", 0.2)


def read(api, vault, paths=MANY):
    return api.post(f"/v1/vaults/{vault.id}/secrets:batchRead", {"paths": list(paths)})


def write(api, vault, count=2):
    items = [{"path": f"w/{n}"} | body("w" * SIZE) for n in range(count)]
    return api.post(f"/v1/vaults/{vault.id}/secrets:batchWrite", {"secrets": items})


def is_all_given_back():
    return batch_memory._budget._taken == 0 and not batch_memory._budget._queue


def test_a_batch_beyond_the_bound_is_a_413_that_says_what_to_do(alice, large, settings):
    bounded(settings, BATCH_MAX_BYTES=3 * SIZE)
    answer = read(alice.api, large)
    assert answer.status_code == 413
    assert "fewer paths" in answer.json()["detail"]
    assert len(json.loads(read(alice.api, large, MANY[:2]).getvalue())["secrets"]) == 2
    assert is_all_given_back()


def test_what_is_too_much_spends_and_records_nothing(alice, vault, settings):
    for path in MANY:
        alice.api.put(secret_url(vault, path), body("v" * SIZE, max_access_count=1))
    bounded(settings, BATCH_MAX_BYTES=3 * SIZE)
    assert read(alice.api, vault).status_code == 413
    assert not AuditEvent.objects.filter(action="secret.read").exists()
    assert set(SecretVersion.objects.values_list("access_count", flat=True)) == {0}


def test_what_is_stored_is_fetched_a_few_bytes_at_a_time(monkeypatch):
    """As many values as fit; what has none, since it was destroyed, fits always."""
    monkeypatch.setattr(batch_read, "_FETCHED_BYTES", 30)
    sizes = [10, None, 10, 10, None, 10, 10, 10, 31, 1]
    found = [{"pk": number, "size": size} for number, size in enumerate(sizes)]
    together = list(batch_read._portions(found))
    assert together == [[0, 1, 2, 3, 4], [5, 6, 7], [8], [9]]


def test_a_batch_of_just_so_many_bytes_is_answered(alice, vault, settings):
    for path in ("a", "b"):
        alice.api.put(secret_url(vault, path), body())
    size = sum(each["size"] for each in batch_read.current_sizes(vault.pk, ["a", "b"]))
    for bound, status in ((size, 200), (size - 1, 413)):
        bounded(settings, BATCH_MAX_BYTES=bound)
        assert read(alice.api, vault, ["a", "b"]).status_code == status


def test_what_one_may_not_read_does_not_count(alice, bob, large, settings):
    """Nobody learns how large a hidden value is."""
    allow(bob, large, MANY[0], "read")
    bounded(settings, BATCH_MAX_BYTES=2 * SIZE)
    answer = read(bob.api, large)
    content = json.loads(answer.getvalue())
    assert [each["path"] for each in content["secrets"]] == MANY[:1]
    assert {each["status"] for each in content["errors"]} == {403}


def test_a_large_answer_comes_in_chunks_and_is_what_single_reads_say(alice, large):
    alice.api.put(secret_url(large, "small"), body("ä\0\n😀", metadata={"ä": [1]}))
    paths = [*MANY[:2], "no/such", "small"]
    answer = read(alice.api, large, paths)
    assert answer.streaming
    assert (answer["Cache-Control"], answer["Content-Type"]) == ("no-store", "application/json")
    chunks = list(answer.streaming_content)
    assert max(len(chunk) for chunk in chunks) < 2 * SIZE
    content = json.loads(b"".join(chunks))
    single = [alice.api.get(secret_url(large, path)).json() for path in (*MANY[:2], "small")]
    assert content["secrets"] == single
    assert [(each["path"], each["status"]) for each in content["errors"]] == [("no/such", 404)]


def test_a_small_answer_has_a_length(alice, vault):
    alice.api.put(secret_url(vault, "small"), body())
    answer = read(alice.api, vault, ["small"])
    assert not answer.streaming
    assert int(answer["Content-Length"]) == len(answer.content)


@pytest.mark.usefixtures("impatient")
def test_while_an_answer_is_being_sent_its_memory_is_taken(alice, large, settings):
    bounded(settings, BATCH_MEMORY_BYTES=6 * SIZE)
    being_sent = read(alice.api, large)
    assert being_sent.status_code == 200
    answer = read(alice.api, large)
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) >= 1
    # What has room passes.
    assert len(json.loads(read(alice.api, large, MANY[:1]).getvalue())["secrets"]) == 1
    being_sent.getvalue()
    assert json.loads(read(alice.api, large).getvalue())["errors"] == []


def test_an_answer_whose_client_is_gone_holds_nothing(alice, large):
    being_sent = read(alice.api, large)
    assert not is_all_given_back()
    for (
        close
    ) in being_sent._resource_closers:  # as `close()`, which would end the test's transaction
        close()
    assert is_all_given_back()


@pytest.mark.usefixtures("impatient")
def test_an_answer_that_was_sent_holds_nothing(alice, large, settings):
    bounded(settings, BATCH_MEMORY_BYTES=5 * SIZE)
    for _ in range(3):
        assert len(json.loads(read(alice.api, large).getvalue())["secrets"]) == 4
    assert is_all_given_back()


@pytest.mark.usefixtures("impatient")
def test_the_body_of_a_batch_of_writes_is_counted(alice, large, settings):
    bounded(settings, BATCH_MEMORY_BYTES=7 * SIZE)
    being_sent = read(alice.api, large)
    refused = write(alice.api, large)
    assert (refused.status_code, "Retry-After" in refused) == (429, True)
    assert not SecretVersion.objects.filter(secret__path="w/0").exists()
    being_sent.getvalue()
    assert write(alice.api, large).status_code == 201
    assert is_all_given_back()


def test_what_is_larger_than_all_of_the_memory_gets_it_alone(alice, large, settings):
    bounded(settings, BATCH_MEMORY_BYTES=SIZE)
    assert json.loads(read(alice.api, large).getvalue())["errors"] == []


def test_a_request_that_fails_gives_back_what_it_took(alice, large, unwritable_log):
    with unwritable_log():
        assert read(alice.api, large).status_code == 500
        assert write(alice.api, large).status_code == 500
    assert alice.api.post(f"/v1/vaults/{large.id}/secrets:batchRead", b"{").status_code == 400
    assert is_all_given_back()


@pytest.mark.django_db(transaction=True)
def test_who_waits_is_served_when_there_is_room(alice, large, settings):
    bounded(settings, BATCH_MEMORY_BYTES=5 * SIZE)
    being_sent = read(alice.api, large)
    token, statuses = alice.token, []

    def wait():
        try:
            statuses.append(len(json.loads(read(Api(token), large).getvalue())["secrets"]))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    assert not statuses
    being_sent.getvalue()
    for thread in threads:
        thread.join()
    assert statuses == [4, 4, 4]
    assert is_all_given_back()


def test_no_more_than_the_budget_is_ever_taken_and_all_get_their_turn(settings):
    bounded(settings, BATCH_MEMORY_BYTES=100)
    most, done = [], []

    def work(size):
        share = Share()
        for _ in range(20):
            share.take(size)
            most.append(batch_memory._budget._taken)
            time.sleep(0.0005)
            share.give_back()
        done.append(size)

    sizes = [30, 40, 50, 60, 70, 100]
    threads = [threading.Thread(target=work, args=(size,)) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == sizes
    assert max(most) <= 100
    assert is_all_given_back()


def test_few_wait_at_once(settings, monkeypatch):
    bounded(settings, BATCH_MEMORY_BYTES=100)
    monkeypatch.setattr(batch_memory, "MOST_WAITING", 2)
    holder, refused = Share(), []
    holder.take(100)

    def wait():
        share = Share()
        try:
            share.take(1)
        except batch_memory.TooManyRequests:
            refused.append(1)
        share.give_back()

    threads = [threading.Thread(target=wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    for _ in range(100):
        if len(refused) == 3:
            break
        time.sleep(0.02)
    holder.give_back()
    for thread in threads:
        thread.join()
    assert len(refused) == 3
    assert is_all_given_back()


def test_an_answer_that_nobody_closes_gives_back_when_it_is_forgotten():
    share = Share()
    share.take(10)
    del share
    assert is_all_given_back()

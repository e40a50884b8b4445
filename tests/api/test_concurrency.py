"""Many clients on one secret, each with a database connection of its own."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection, connections

from secrets_app.models import AuditEvent, Secret, SecretVersion
from tests.cast import Api, body, secret_url

CLIENTS = 64

pytestmark = pytest.mark.django_db(transaction=True)


def all_at_once(work, clients=CLIENTS):
    """Run `work(n)` in as many threads, let loose together; returns what they returned."""
    barrier = Barrier(clients)

    def run(n):
        try:
            barrier.wait(timeout=60)
            return work(n)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(run, range(clients)))


def test_64_readers_of_10_accesses_get_exactly_10(alice, vault):
    api = alice.api
    api.put(secret_url(vault), body("hunter2", max_access_count=10))
    token = alice.token
    answers = all_at_once(lambda _: Api(token).get(secret_url(vault)))
    assert Counter(answer.status_code for answer in answers) == {200: 10, 410: 54}
    assert SecretVersion.objects.get().access_count == 10
    reads = AuditEvent.objects.filter(action="secret.read")
    assert Counter(reads.values_list("outcome", flat=True)) == {"success": 10, "failure": 54}


def test_concurrent_writes_to_one_new_path_number_without_gap_or_double(alice, vault):
    token = alice.token
    answers = all_at_once(lambda n: Api(token).put(secret_url(vault), body(f"value {n}")), 32)
    assert {answer.status_code for answer in answers} == {201}
    assert sorted(answer.json()["version"] for answer in answers) == list(range(1, 33))
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Secret.objects.get().current_version == 32
    newest = next(n for n, answer in enumerate(answers) if answer.json()["version"] == 32)
    assert alice.api.get(secret_url(vault)).json()["value"] == f"value {newest}"


def test_reads_during_writes_always_give_a_value_that_was_written(alice, vault):
    api, token = alice.api, alice.token
    api.put(secret_url(vault), body("start"))

    def work(n):
        client = Api(token)
        if n % 2:
            return [client.put(secret_url(vault), body(f"{n}-{i}")).status_code for i in range(4)]
        return [client.get(secret_url(vault)).json()["value"] for _ in range(4)]

    results = all_at_once(work, 16)
    written = {f"{n}-{i}" for n in range(16) for i in range(4)} | {"start"}
    assert all(status == 201 for result in results[1::2] for status in result)
    assert all(value in written for result in results[0::2] for value in result)


def test_the_database_under_test_is_the_one_asked_for(request):
    import os

    wanted = "postgresql" if os.environ.get("TEST_DATABASE_URL", "").startswith("p") else "sqlite"
    assert connection.vendor == wanted

"""Many clients of the Vault door on one secret, each with a database connection of its own."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections, transaction

from secrets_app.models import Secret, SecretSettings
from tests.api.test_concurrency import all_at_once
from tests.cast import Api, allow, body, secret_url
from tests.vault_api.conftest import Door

pytestmark = pytest.mark.django_db(transaction=True)


def test_patches_at_once_lose_nothing_of_each_other(alice, vault):
    token, count = alice.token, 16
    Door(token).put("team/a", {"start": True})
    patch = {"data": {}}
    answers = all_at_once(
        lambda n: Door(token)("PATCH", "team/data/a", {"data": {f"k{n}": n}}), count
    )
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json()["data"]["version"] for answer in answers) == list(
        range(2, count + 2)
    )
    assert Door(token).data("team/a") == {"start": True} | {f"k{n}": n for n in range(count)}
    assert Door(token)("PATCH", "team/data/a", patch).json()["data"]["version"] == count + 2


def test_of_writers_with_the_same_cas_one_wins(alice, vault):
    token = alice.token
    answers = all_at_once(lambda n: Door(token).put("team/a", {"n": n}, cas=0), 16)
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 15}
    winner = next(n for n, answer in enumerate(answers) if answer.status_code == 200)
    assert Door(token).data("team/a") == {"n": winner}


def test_readers_at_both_doors_get_as_many_accesses_as_there_are(alice, vault):
    alice.api.put(secret_url(vault, "a"), body("x", max_access_count=5))
    token = alice.token

    def read(n):
        if n % 2:
            return Door(token).data("team/a") != 404
        return Door(token).api.get(secret_url(vault, "a"), headers=bearer).status_code == 200

    bearer = {"Authorization": f"Bearer {token}"}
    assert sum(all_at_once(read, 24)) == 5


def test_patches_under_readers_make_no_more_accesses_than_there_were(alice, vault):
    alice.api.put(secret_url(vault, "a"), body('{"k": 1}', max_access_count=5))
    token = alice.token

    def work(n):
        mine = Door(token)
        if n % 4 == 0:
            mine("PATCH", "team/data/a", {"data": {f"k{n}": n}})
            return 0
        return sum(mine.data("team/a", f"?version={v}") != 404 for v in range(1, 6))

    seen = sum(all_at_once(work, 16))
    versions = range(1, Secret.objects.get().current_version + 1)
    for version in [*versions] * 5:
        seen += Door(token).data("team/a", f"?version={version}") != 404
    assert seen == 5


def test_a_bound_that_changes_under_writers_keeps_numbers_whole(alice, vault):
    token = alice.token

    def work(n):
        if n % 4 == 0:
            return Door(token)("PUT", "team/metadata/a", {"max_versions": n + 1}).status_code
        return Door(token).put("team/a", {"n": n}).status_code

    assert set(all_at_once(work, 16)) == {200, 204}
    assert Door(token)("GET", "team/metadata/a").json()["data"]["current_version"] == 12


def test_settings_changed_at_once_undo_nothing_of_each_other(alice, bob, vault):
    """Nor does somebody's note undo what the owner set."""
    allow(bob, vault, "**", "read", "write")
    owner, writer, place = alice.token, bob.token, f"{vault.pk}/metadata/a"
    bodies = [{"cas_required": True}, {"max_versions": 3}, {"delete_version_after": "1h"}]

    def change(n):
        if n < len(bodies):
            return Door(owner)("PUT", place, bodies[n]).status_code
        note = {"custom_metadata": {f"k{n}": "x"}}
        return Door(writer)("PATCH", place, note).status_code

    for _ in range(3):
        Door(owner)("DELETE", "team/metadata/a")
        Door(owner)("PUT", "team/metadata/a", {"custom_metadata": {"first": "x"}})
        assert set(all_at_once(change, 12)) == {204}
        told = Door(owner)("GET", "team/metadata/a").json()["data"]
        assert (told["cas_required"], told["max_versions"]) == (True, 3)
        assert told["delete_version_after"] == "1h0m0s"
        assert told["custom_metadata"].keys() == {"first", *(f"k{n}" for n in range(3, 12))}


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("path", ["a", "new"])
def test_a_write_that_waited_heeds_what_was_set_meanwhile(alice, vault, path):
    """The writer reads the secret before the settings are committed, and its lock after that."""
    token, base = alice.token, f"/v1/vaults/{vault.pk}"
    Door(token).put("team/a", {"n": 1})
    Door(token)("PUT", "team/metadata/new", {"max_versions": 5})
    items = [{"path": path} | body("x")]
    bearer = {"Authorization": f"Bearer {token}"}

    def write():
        try:
            url = f"{base}/secrets:batchWrite"
            return Api().post(url, {"secrets": items}, headers=bearer).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            secret = Secret.objects.select_for_update().get(path=path)
            SecretSettings.objects.update_or_create(
                secret=secret, vault_id=vault.pk, defaults={"cas_required": True}
            )
            waiting = pool.submit(write)
            wait_for_a_lock()
        assert waiting.result(timeout=30) == 428


def wait_for_a_lock():
    """Return once a connection of this database waits for a row that another holds."""
    query = """SELECT count(*) FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    for _ in range(600):
        with connection.cursor() as cursor:
            # Within a transaction the view is as it was at first sight.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(query)
            if cursor.fetchone()[0]:
                return
        time.sleep(0.05)
    raise AssertionError("nobody waits")


@pytest.mark.only_on("postgresql")
def test_a_write_by_id_takes_two_statements(alice, vault, django_assert_num_queries):
    mine = Door(alice.token)
    mine.put("team/a", {"n": 1})
    mine.put("team/a", {"n": 1})
    with django_assert_num_queries(2):
        assert mine.put(f"{vault.pk}/a", {"n": 2}).status_code == 200

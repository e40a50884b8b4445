import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from secrets_app.models import AuditEvent, Secret, SecretVersion
from tests.api.test_concurrency import all_at_once
from tests.cast import Api, allow, body, deny, secret_url


def read(api, vault, *paths, **extra):
    return api.post(f"/v1/vaults/{vault.id}/secrets:batchRead", {"paths": list(paths)}, **extra)


def write(api, vault, *items, **extra):
    return api.post(f"/v1/vaults/{vault.id}/secrets:batchWrite", {"secrets": list(items)}, **extra)


def item(path, value="x", **fields):
    return {"path": path} | body(value, **fields)


def test_what_is_written_at_once_is_read_at_once(alice, vault):
    answer = write(alice.api, vault, item("b", "B", metadata={"n": 1}), item("a/a", "A"))
    assert answer.status_code == 201
    assert [(s["path"], s["version"]) for s in answer.json()["secrets"]] == [("b", 1), ("a/a", 1)]
    assert "value" not in str([list(s) for s in answer.json()["secrets"]])
    response = read(alice.api, vault, "a/a", "b")
    assert response["Cache-Control"] == "no-store"
    assert response.json()["errors"] == []
    assert [(s["path"], s["value"]) for s in response.json()["secrets"]] == [
        ("a/a", "A"),
        ("b", "B"),
    ]
    assert alice.api.get(secret_url(vault, "b")).json() == response.json()["secrets"][1]


def test_one_path_that_cannot_be_read_does_not_keep_the_others_back(alice, bob, vault):
    write(
        alice.api,
        vault,
        item("ok"),
        item("hidden"),
        item("gone", expires_at="2001-01-01T00:00:00Z"),
    )
    allow(bob, vault, "**", "read")
    deny(bob, vault, "hidden", "read")
    answer = read(bob.api, vault, "ok", "hidden", "no/such", "gone").json()
    assert [s["path"] for s in answer["secrets"]] == ["ok"]
    assert [(e["path"], e["status"]) for e in answer["errors"]] == [
        ("hidden", 403),
        ("no/such", 404),
        ("gone", 410),
    ]
    for problem in answer["errors"]:
        assert {"type", "title", "detail"} <= set(problem)


def test_a_denied_path_looks_the_same_whether_it_exists_or_not(alice, bob, vault):
    write(alice.api, vault, item("there"))
    allow(bob, vault, "mine/**", "read")
    one, other = read(bob.api, vault, "there", "not-there").json()["errors"]
    assert one | {"path": ""} == other | {"path": ""}


def test_every_path_has_an_event_of_its_own(alice, bob, vault):
    write(alice.api, vault, item("a"), item("b"))
    writes = AuditEvent.objects.filter(action="secret.write")
    assert sorted(e.details["path"] for e in writes) == ["a", "b"]
    allow(bob, vault, "a", "read")
    allow(bob, vault, "c", "read")
    read(bob.api, vault, "a", "b", "c")
    reads = AuditEvent.objects.filter(action="secret.read")
    assert {(e.details["path"], e.outcome) for e in reads} == {
        ("a", "success"),
        ("b", "denied"),
        ("c", "failure"),
    }


def test_accesses_are_spent_one_by_one_and_only_by_success(alice, vault):
    write(alice.api, vault, item("a", max_access_count=1), item("b", max_access_count=2))
    assert len(read(alice.api, vault, "a", "b").json()["secrets"]) == 2
    answer = read(alice.api, vault, "a", "b").json()
    assert [s["path"] for s in answer["secrets"]] == ["b"]
    assert [e["status"] for e in answer["errors"]] == [410]
    assert sorted(SecretVersion.objects.values_list("access_count", flat=True)) == [1, 2]


def test_a_value_that_does_not_open_is_a_500_of_its_own_and_spends_nothing(alice, vault):
    write(alice.api, vault, item("a", max_access_count=1), item("b"))
    one, other = SecretVersion.objects.order_by("secret__path")
    SecretVersion.objects.filter(pk=one.pk).update(value=other.value)
    answer = read(alice.api, vault, "a", "b").json()
    assert [s["path"] for s in answer["secrets"]] == ["b"]
    assert [(e["path"], e["status"]) for e in answer["errors"]] == [("a", 500)]
    one.refresh_from_db()
    assert one.access_count == 0


def test_all_or_nothing(alice, bob, vault):
    alice.api.put(secret_url(vault, "a"), body("old"))
    allow(bob, vault, "a", "write")
    before = SecretVersion.objects.count()
    attempts = [
        (bob, [item("a"), item("b")], 403),
        (alice, [item("a"), item("b") | {"type": "generic"}], 400),
        (alice, [item("a"), item("b..")], 400),
        (alice, [item("a"), item("b", unknown=1)], 400),
        (alice, [item("a"), item("b") | {"if_version": 1}], 412),
        (alice, [item("b"), item("a") | {"if_version": 0}], 412),
        (alice, [item("b"), item("a") | {"if_version": 2}], 412),
        (alice, [item("a"), item("a")], 400),
        (alice, [], 400),
        (alice, [item(f"p{n}") for n in range(201)], 400),
    ]
    for who, items, status in attempts:
        response = write(who.api, vault, *items)
        assert response.status_code == status, items[:2]
        assert SecretVersion.objects.count() == before
        assert Secret.objects.count() == 1


def test_errors_name_the_item(alice, vault):
    response = write(alice.api, vault, item("a"), item("b") | {"type": "generic"})
    assert list(response.json()["errors"]) == ["secrets.1.type"]


def test_a_write_may_expect_a_version_for_each_path(alice, vault):
    alice.api.put(secret_url(vault, "a"), body())
    response = write(
        alice.api, vault, item("a") | {"if_version": 1}, item("new") | {"if_version": 0}
    )
    assert [s["version"] for s in response.json()["secrets"]] == [2, 1]


def test_a_batch_revives_deleted_paths_and_goes_on_counting(alice, vault):
    alice.api.put(secret_url(vault, "a"), body())
    alice.api.delete(secret_url(vault, "a"))
    assert write(alice.api, vault, item("a", "new")).json()["secrets"][0]["version"] == 2
    assert alice.api.get(secret_url(vault, "a")).json()["value"] == "new"


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"paths": []},
        {"paths": "a"},
        {"paths": [1]},
        {"paths": ["a", "a"]},
        {"paths": ["a.."]},
        {"paths": ["a\0"]},
        {"paths": [f"p{n}" for n in range(201)]},
        {"paths": ["a"], "prefix": "x"},
    ],
)
def test_a_bad_read_is_400(alice, vault, content):
    url = f"/v1/vaults/{vault.id}/secrets:batchRead"
    assert alice.api.post(url, content).status_code == 400


def test_200_paths_are_fine(alice, vault):
    paths = [f"p/{n}" for n in range(200)]
    assert write(alice.api, vault, *(item(path, path) for path in paths)).status_code == 201
    answer = read(alice.api, vault, *paths).json()
    assert [s["value"] for s in answer["secrets"]] == paths


def test_a_batch_costs_the_same_number_of_statements_whatever_its_size(alice, vault, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"MAX_VERSIONS": 1}
    api = alice.api
    counts = []
    for size in (2, 60):
        paths = [f"{size}/{n}" for n in range(size)]
        items = [item(path, max_access_count=5) for path in paths]
        write(api, vault, *items)
        with CaptureQueriesContext(connection) as writing:
            assert write(api, vault, *items).status_code == 201
        with CaptureQueriesContext(connection) as reading:
            assert len(read(api, vault, *paths).json()["secrets"]) == size
        counts.append((len(writing), len(reading)))
    assert counts[0] == counts[1]


def test_the_oldest_versions_are_destroyed_beyond_the_cap(alice, vault, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"MAX_VERSIONS": 1}
    write(alice.api, vault, item("a"), item("b"))
    write(alice.api, vault, item("a"))
    destroyed = SecretVersion.objects.filter(destroyed_at__isnull=False)
    assert [(v.secret.path, v.number) for v in destroyed] == [("a", 1)]


def test_a_repeated_batch_write_writes_once(alice, vault):
    headers = {"Idempotency-Key": "k"}
    one = write(alice.api, vault, item("a"), item("b"), headers=headers)
    two = write(alice.api, vault, item("a"), item("b"), headers=headers)
    assert one.json() == two.json()
    assert SecretVersion.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_batches_in_opposite_orders_do_not_wait_for_each_other_for_ever(alice, vault):
    token = alice.token
    paths = [f"p{n}" for n in range(10)]
    write(alice.api, vault, *(item(path, max_access_count=1000) for path in paths))

    def work(n):
        ordered = paths if n % 2 else paths[::-1]
        written = write(
            Api(token), vault, *(item(p, f"{n}", max_access_count=1000) for p in ordered)
        )
        answer = read(Api(token), vault, *ordered)
        return written.status_code, len(answer.json()["secrets"])

    assert set(all_at_once(work, 12)) == {(201, 10)}
    assert {s.current_version for s in Secret.objects.all()} == {13}


@pytest.mark.django_db(transaction=True)
def test_batches_at_once_never_spend_more_than_there_is(alice, vault):
    write(alice.api, vault, item("a", max_access_count=5), item("b", max_access_count=3))
    token = alice.token
    answers = all_at_once(lambda n: read(Api(token), vault, *["a", "b"][:: 1 - 2 * (n % 2)]), 12)
    got = [s["path"] for answer in answers for s in answer.json()["secrets"]]
    assert (got.count("a"), got.count("b")) == (5, 3)


def test_a_batch_that_cannot_be_logged_spends_no_access(alice, vault, unwritable_log):
    alice.api.put(secret_url(vault, "counted"), body(max_access_count=2))
    with unwritable_log():
        answer = alice.api.post(f"/v1/vaults/{vault.pk}/secrets:batchRead", {"paths": ["counted"]})
    assert answer.status_code == 500
    assert SecretVersion.objects.get().access_count == 0

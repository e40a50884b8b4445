from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from uuid import uuid4

import pytest
from django.utils import timezone

from secrets_app.models import AuditEvent, Secret
from secrets_app.services.secrets import listing
from tests.cast import allow, body, deny, secret_url, vault_of


def list_url(vault, **query):
    text = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items())
    return f"/v1/vaults/{vault.id}/secrets" + (f"?{text}" if text else "")


def paths(person, vault, **query):
    response = person.api.get(list_url(vault, **query))
    assert response.status_code == 200, response.content
    return [secret["path"] for secret in response.json()["secrets"]]


def all_pages(person, vault, **query):
    found, pages = [], 0
    while True:
        answer = person.api.get(list_url(vault, **query)).json()
        found += [secret["path"] for secret in answer["secrets"]]
        pages += 1
        if "next_cursor" not in answer:
            return found, pages
        query["cursor"] = answer["next_cursor"]


PATHS = ["B", "a", "a-b", "a/b", "a/b/c", "a/c", "a_b", "api-keys/openai", "b", "z/z/z"]


@pytest.fixture
def filled(alice, vault):
    items = [{"path": path} | body(f"value of {path}") for path in reversed(PATHS)]
    url = f"/v1/vaults/{vault.id}/secrets:batchWrite"
    assert alice.api.post(url, {"secrets": items}).status_code == 201
    return vault


def test_the_owner_sees_every_path_in_byte_order_and_no_value(alice, filled):
    answer = alice.api.get(list_url(filled)).json()
    assert [secret["path"] for secret in answer["secrets"]] == sorted(PATHS)
    assert all("value" not in secret for secret in answer["secrets"])
    assert "next_cursor" not in answer
    assert AuditEvent.objects.get(action="secret.list").details == {"prefix": "", "count": 10}


def test_the_latest_version_of_each_path_is_shown(alice, vault):
    alice.api.put(secret_url(vault, "a"), body("one", metadata={"n": 1}))
    alice.api.put(secret_url(vault, "a"), body("two", metadata={"n": 2}))
    (only,) = alice.api.get(list_url(vault)).json()["secrets"]
    assert (only["version"], only["metadata"]) == (2, {"n": 2})


def test_deleted_secrets_are_not_listed(alice, filled):
    alice.api.delete(secret_url(filled, "a/b"))
    assert "a/b" not in paths(alice, filled)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("a", ["a", "a-b", "a/b", "a/b/c", "a/c", "a_b", "api-keys/openai"]),
        ("a/", ["a/b", "a/b/c", "a/c"]),
        ("a/b", ["a/b", "a/b/c"]),
        ("api", ["api-keys/openai"]),
        ("api-keys/openai", ["api-keys/openai"]),
        ("B", ["B"]),
        ("c", []),
    ],
)
def test_a_prefix_is_the_start_of_a_path(alice, filled, prefix, expected):
    assert paths(alice, filled, prefix=prefix) == expected


def test_only_what_the_caller_may_read_is_listed(alice, bob, charlie, filled):
    allow(bob, filled, "a/**", "read")
    deny(bob, filled, "a/b/**", "read")
    allow(bob, filled, "z/z/z", "write")
    assert paths(bob, filled) == ["a", "a/c"]
    assert paths(bob, filled, prefix="a/b") == []
    assert paths(bob, filled, prefix="a/") == ["a/c"]
    assert charlie.api.get(list_url(filled)).status_code == 403


@pytest.mark.parametrize("pattern", ["*", "**/b", "*/*", "a/*", "**", "b"])
def test_the_list_agrees_with_what_can_be_read(bob, filled, pattern):
    allow(bob, filled, pattern, "read")
    readable = [p for p in sorted(PATHS) if bob.api.get(secret_url(filled, p)).status_code == 200]
    assert paths(bob, filled) == readable
    assert readable


@pytest.mark.parametrize("limit", [1, 2, 3, 9, 10, 11])
def test_pages_give_each_path_once_and_in_order(alice, filled, limit):
    found, pages = all_pages(alice, filled, limit=limit)
    assert found == sorted(PATHS)
    assert pages == -(-len(PATHS) // limit)


def test_pages_of_a_caller_with_scattered_policies_give_each_path_once(bob, filled):
    for pattern in ("a/*", "z/**", "B", "**/openai", "a"):
        allow(bob, filled, pattern, "read")
    found, _ = all_pages(bob, filled, limit=1)
    assert found == ["B", "a", "a/b", "a/c", "api-keys/openai", "z/z/z"]


def test_every_one_of_many_single_paths_is_listed(alice, bob, vault):
    """Each is a range of its own, and several are looked at together."""
    url = f"/v1/vaults/{vault.pk}/secrets:batchWrite"
    items = [{"path": f"p{n}"} | body() for n in range(10, 30)]
    assert alice.api.post(url, {"secrets": items}).status_code == 201
    mine = [f"p{n}" for n in range(10, 30, 2)]
    for path in mine:
        allow(bob, vault, path, "read")
    assert paths(bob, vault) == mine
    assert all_pages(bob, vault, limit=3)[0] == mine


def test_a_page_goes_on_after_a_path_that_was_deleted_meanwhile(alice, filled):
    first = alice.api.get(list_url(filled, limit=3)).json()
    alice.api.delete(secret_url(filled, first["secrets"][-1]["path"]))
    rest = paths(alice, filled, cursor=first["next_cursor"])
    assert [s["path"] for s in first["secrets"]] + rest == sorted(PATHS)


def test_nothing_tells_of_hidden_paths_not_even_whether_a_page_goes_on(alice, bob, filled):
    """A cursor where only hidden rows follow would spell a hidden path out, prefix by prefix."""

    def page(prefix, limit):
        answer = bob.api.get(list_url(filled, prefix=prefix, limit=limit)).json()
        return answer | {"next_cursor": len(answer.get("next_cursor", ""))}

    allow(bob, filled, "**", "read")
    deny(bob, filled, "a/**", "read")
    for prefix, limit in [("a/", 1), ("a", 2), ("a/b", 1), ("z", 1), ("c", 1)]:
        here = page(prefix, limit)
        alice.api.delete(secret_url(filled, "a/b"))
        alice.api.delete(secret_url(filled, "a/b/c"))
        alice.api.delete(secret_url(filled, "a/c"))
        gone = page(prefix, limit)
        for path in ("a/b", "a/b/c", "a/c"):
            alice.api.post(f"/v1/vaults/{filled.id}/secret-undelete/{path}")
        assert here == gone, prefix


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": -1},
        {"limit": 1001},
        {"limit": "9" * 100},
        {"limit": "1e2"},
        {"limit": ""},
        {"cursor": "x"},
        {"cursor": "é"},
        {"prefix": "a//"},
        {"prefix": "/a"},
        {"prefix": "a.."},
        {"prefix": "a%"},
        {"prefix": "a*"},
        {"prefix": "a\0"},
        {"prefix": "a" * 513},
        {"type": "generic"},
        {"expires_before": "tomorrow"},
        {"tag": "\0"},
        {"sort": "path"},
    ],
)
def test_a_bad_parameter_is_400_and_named(alice, filled, query):
    response = alice.api.get(list_url(filled, **query))
    assert response.status_code == 400
    assert list(response.json()["errors"]) == list(query)


def test_a_doubled_parameter_is_400(alice, filled):
    assert alice.api.get(list_url(filled) + "?prefix=a&prefix=b").status_code == 400


def test_a_list_is_judged_by_address_and_time(alice, bob, filled, time_machine):
    start = datetime(2027, 1, 1, tzinfo=UTC)
    for pattern, fields in (
        ("a", {"conditions": {"ip_allowlist": ["127.0.0.0/8"]}}),
        ("b", {"conditions": {"ip_allowlist": ["198.51.100.0/24"]}}),
        ("a/b", {"expires_at": start}),
        ("a/c", {"expires_at": start + timedelta(microseconds=1)}),
    ):
        allow(bob, filled, pattern, "read", **fields)
    time_machine.move_to(start, tick=False)
    assert paths(bob, filled) == ["a", "a/c"]


def test_filters_narrow_the_list(alice, vault):
    api = alice.api
    api.put(secret_url(vault, "a"), body(metadata={"tags": ["prod", "db"]}))
    api.put(secret_url(vault, "b"), body(metadata={"tags": "prod"}))
    api.put(secret_url(vault, "c"), body(expires_at="2030-01-01T00:00:00Z") | {"type": "note"})
    api.put(secret_url(vault, "d"), body(expires_at="2031-01-01T00:00:00Z"))
    assert paths(alice, vault, tag="prod") == ["a"]
    assert paths(alice, vault, type="note") == ["c"]
    assert paths(alice, vault, expires_before="2030-01-01T00:00:00Z") == []
    assert paths(alice, vault, expires_before="2030-01-01T00:00:01Z") == ["c"]
    assert paths(alice, vault, expires_before="2040-01-01T00:00:00+01:00") == ["c", "d"]
    assert paths(alice, vault, expires_before="2040-01-01T00:00:00Z", type="password") == ["d"]


@pytest.mark.parametrize("limit", [2, 100])
def test_a_page_of_which_filters_leave_little_ends_early_and_leads_on(
    alice, vault, monkeypatch, limit
):
    """After so many rows as the caller may see: neither deleted ones count nor those of another vault."""
    monkeypatch.setattr(listing, "_MOST_ROWS", 5)
    note = body() | {"type": "note"}
    for where in (vault_of(alice, "other"), vault):
        items = [{"path": f"p{n:02}"} | (note if n in (1, 12) else body()) for n in range(14)]
        items += [{"path": f"p{n:02}-gone"} | body() for n in range(14)]
        url = f"/v1/vaults/{where.pk}/secrets:batchWrite"
        assert alice.api.post(url, {"secrets": items}).status_code == 201
        Secret.objects.filter(path__endswith="gone").update(deleted_at=timezone.now())
    pages, cursor = [], {}
    while cursor is not None:
        answer = alice.api.get(list_url(vault, type="note", limit=limit, **cursor)).json()
        pages.append([each["path"] for each in answer["secrets"]])
        cursor = {"cursor": answer["next_cursor"]} if "next_cursor" in answer else None
    assert pages == [["p01"], [], ["p12"]]


def test_a_list_that_fails_leaves_an_event(alice, filled):
    assert alice.api.get(list_url(filled, cursor="x")).status_code == 400
    event = AuditEvent.objects.latest("id")
    assert (event.action, event.outcome, event.vault_id) == ("secret.list", "failure", filled.pk)
    assert event.details["reason"] == "InvalidInput"


def test_versions_below_the_first_are_none(alice, vault):
    alice.api.put(secret_url(vault, "a"), body())
    answer = alice.api.get(f"/v1/vaults/{vault.pk}/secret-versions/a?cursor=1")
    assert (answer.status_code, answer.json()["versions"]) == (200, [])
    event = AuditEvent.objects.latest("id")
    assert (event.resource_id, event.vault_id) == (None, vault.pk)
    assert event.details == {"path": "a", "count": 0}


def test_hidden_rows_stay_in_the_database(alice, bob, vault, monkeypatch):
    """Three thousand secrets, of which Bob may read the last: no page takes many rows out."""
    from secrets_app.services.identity.identification import identify
    from secrets_app.services.secrets.listing import ListQuery, list_secrets

    alice.api.put(secret_url(vault, "z/last"), body())
    template = Secret.objects.get()
    version = template.versions.get()
    secrets = [Secret(vault=vault, path=f"a/{n:04}", current_version=1) for n in range(3000)]
    Secret.objects.bulk_create(secrets)
    copies = []
    for secret in secrets:
        copy = type(version)(
            vault_id=vault.id,
            secret=secret,
            number=1,
            type="note",
            value=version.value,
            vault_key_id=version.vault_key_id,
            created_by_id=version.created_by_id,
        )
        copies.append(copy)
    type(version).objects.bulk_create(copies)

    def look(wanted):
        caller = identify(bearer=bob.token, vault_id=vault.id, address=None, request_id=uuid4())
        return list_secrets(caller=caller, vault_id=vault.id, wanted=wanted)

    allow(bob, vault, "z/**", "read")
    page = look(ListQuery(limit=10))
    assert ([v.secret.path for v in page.versions], page.looked_at) == (["z/last"], 1)
    monkeypatch.setattr("secrets_app.services.secrets.listing._MOST_ROWS", 400)
    allow(bob, vault, "**/last", "read")
    page = look(ListQuery(limit=99))
    assert ([v.secret.path for v in page.versions], page.looked_at) == (["z/last"], 101)
    assert page.cursor is None
    # Rows that a filter leaves out do end a page, since Bob may see them all.
    allow(bob, vault, "**", "read")
    assert look(ListQuery(limit=99, type="password")).versions == []
    found, pages = all_pages(bob, vault, limit=99, type="password")
    assert found == ["z/last"]
    assert pages == 8


def test_many_policies_that_match_nothing_cost_few_statements(alice, bob, vault):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    alice.api.put(secret_url(vault, "zz"), body())
    for n in range(100):
        allow(bob, vault, f"team-{n}/**", "read")
    api = bob.api
    with CaptureQueriesContext(connection) as queries:
        assert api.get(list_url(vault)).json() == {"secrets": []}
    if connection.vendor == "postgresql":
        assert len(queries) < 20


def test_a_client_that_knows_no_cursors_sees_what_is_scattered_far_apart(alice, bob, vault):
    """The published client lists without limit or cursor."""
    url = f"/v1/vaults/{vault.id}/secrets:batchWrite"
    for start in range(0, 600, 200):
        items = [{"path": f"a/{n:03}"} | body() for n in range(start, start + 200)]
        alice.api.post(url, {"secrets": items})
    alice.api.put(secret_url(vault, "svc/prod"), body())
    allow(bob, vault, "**/prod", "read")
    answer = bob.api.get(list_url(vault)).json()
    assert [s["path"] for s in answer["secrets"]] == ["svc/prod"]
    assert "next_cursor" not in answer

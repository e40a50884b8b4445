from datetime import timedelta
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.utils import timezone

from secrets_app.models import AuditEvent
from tests.cast import allow, body, secret_url, vault_of

EVENTS = "/v1/audit/events"


@pytest.fixture
def auditor(charlie):
    charlie.user.user_permissions.add(Permission.objects.get(codename="view_auditevent"))
    return charlie


@pytest.fixture
def busy(alice, bob, vault):
    """Alice writes and Bob reads in Alice's vault; Bob has one of his own."""
    allow(bob, vault, "**", "read")
    alice.api.put(secret_url(vault), body())
    bob.api.get(secret_url(vault))
    bob.api.put(secret_url(vault), body())  # denied
    bobs = vault_of(bob, "bobs")
    bob.api.put(secret_url(bobs), body())
    return vault


def ask(person, query):
    return person.api.get(f"{EVENTS}?{urlencode(query)}")


def events(person, **query):
    answer = ask(person, query)
    assert answer.status_code == 200, answer.json()
    return answer.json()["events"]


def actions(person, **query):
    return [event["action"] for event in events(person, **query)]


def test_an_event_has_the_fields_of_the_contract(alice, bob, busy):
    (event,) = events(alice, action="secret.read")
    stored = AuditEvent.objects.get(action="secret.read")
    assert event == {
        "id": str(stored.pk),
        "action": "secret.read",
        "outcome": "success",
        "actor_id": str(bob.principal.pk),
        "actor_type": "user",
        "vault_id": str(busy.pk),
        "resource_type": "secret",
        "resource_id": str(stored.resource_id),
        "details": stored.details,
        "ip_address": "127.0.0.1",
        "request_id": str(stored.request_id),
        "created_at": stored.created_at.isoformat().replace("+00:00", "Z"),
    }


def test_an_owner_sees_its_vault_and_everyone_its_own(alice, bob, charlie, robot, busy):
    seen = events(alice)
    assert {event["vault_id"] for event in seen if "vault_id" in event} == {str(busy.pk)}
    assert str(bob.principal.pk) in {event.get("actor_id") for event in seen}
    bobs = str(bob.principal.vaults.get().pk)
    seen = events(bob)
    assert {"secret.read", "secret.write", "vault.create"} <= {event["action"] for event in seen}
    assert all(e.get("actor_id") == str(bob.principal.pk) or e["vault_id"] == bobs for e in seen)
    for person in (charlie, robot):
        person.api.get(secret_url(busy))
        assert {e["actor_id"] for e in events(person)} == {str(person.principal.pk)}


def test_nobody_sees_an_event_twice(alice, busy):
    ids = [event["id"] for event in events(alice)]
    assert len(ids) == len(set(ids))


def test_an_auditor_sees_all(auditor, busy):
    assert len(events(auditor)) == AuditEvent.objects.count()


def test_who_is_no_auditor_any_more_sees_its_own_again(auditor, busy):
    auditor.user.user_permissions.clear()
    assert {e["actor_id"] for e in events(auditor)} <= {str(auditor.principal.pk)}


def test_newest_first_and_filters(alice, bob, busy, auditor):
    listed = events(auditor)
    assert [e["id"] for e in listed] == sorted((e["id"] for e in listed), reverse=True)
    assert set(actions(auditor, action="vault.create")) == {"vault.create"}
    assert {e["outcome"] for e in events(auditor, outcome="denied")} == {"denied"}
    assert {e["actor_id"] for e in events(auditor, actor_id=bob.principal.pk)} == {
        str(bob.principal.pk)
    }
    assert {e["vault_id"] for e in events(auditor, vault_id=busy.pk)} == {str(busy.pk)}
    read = AuditEvent.objects.get(action="secret.read")
    found = events(auditor, resource_id=read.resource_id)
    assert {e["resource_id"] for e in found} == {str(read.resource_id)}
    assert events(alice, resource_id=read.resource_id) == found
    assert events(bob, resource_id=read.resource_id, action="secret.write") == []


def test_from_is_inclusive_and_to_is_not(auditor, busy):
    times = list(AuditEvent.objects.order_by("id").values_list("created_at", flat=True))
    middle = times[len(times) // 2]
    text = middle.isoformat().replace("+00:00", "Z")
    late = {e["created_at"] for e in events(auditor, **{"from": text})}
    early = {e["created_at"] for e in events(auditor, to=text)}
    assert text in late
    assert text not in early
    assert len(late | early) == len(set(times))
    assert events(auditor, **{"from": (timezone.now() + timedelta(days=1)).isoformat()}) == []
    assert events(auditor, to="1969-01-01T00:00:00Z") == []
    assert len(events(auditor, to="9999-12-31T23:59:59Z")) == len(times)


@pytest.mark.parametrize("limit", [1, 3])
def test_a_cursor_walks_through_all_while_events_are_added(auditor, alice, vault, busy, limit):
    expected = [e["id"] for e in events(auditor)]
    seen, query = [], {"limit": limit}
    while True:
        page = ask(auditor, query).json()
        assert page["count"] == len(page["events"]) <= limit
        seen += [event["id"] for event in page["events"]]
        alice.api.get(secret_url(vault))  # one more at the front
        if "next_cursor" not in page:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == expected


def test_limit_and_offset(alice, busy):
    for _ in range(3):
        alice.api.get(secret_url(busy))
    everything = events(alice)
    assert len(everything) > 4
    assert events(alice, limit=2, offset=1) == everything[1:3]
    assert events(alice, offset=len(everything)) == []
    last = ask(alice, {"limit": len(everything)}).json()
    assert "next_cursor" not in last


def test_an_owner_of_many_vaults_sees_them_all(alice, monkeypatch, busy):
    expected = events(alice)
    monkeypatch.setattr("secrets_app.services.audit.query._MOST_WALKS", 0)
    assert events(alice) == expected


def test_events_of_a_deleted_vault_stay_visible_to_its_owner(alice, busy):
    alice.api.delete(f"/v1/vaults/{busy.pk}")
    assert "vault.delete" in actions(alice, vault_id=busy.pk)
    assert "secret.write" in actions(alice, vault_id=busy.pk)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 1001},
        {"limit": "-1"},
        {"offset": -1},
        {"offset": 10_001},
        {"cursor": "x"},
        {"cursor": "é"},
        {"actor_id": "me"},
        {"resource_id": "1"},
        {"vault_id": "*"},
        {"action": "secret"},
        {"action": "secret.read\n"},
        {"action": "%"},
        {"outcome": "good"},
        {"from": "yesterday"},
        {"to": "2026-01-01"},
        {"form": "2026-01-01T00:00:00Z"},
    ],
)
def test_bad_queries_are_refused_and_not_repeated(alice, query):
    answer = ask(alice, query)
    assert answer.status_code == 400
    assert answer.json()["errors"]


def test_looking_leaves_no_event_so_that_pages_stay_where_they_are(alice, busy):
    before = AuditEvent.objects.count()
    assert len(events(alice)) == len(events(alice))
    assert AuditEvent.objects.count() == before


@pytest.mark.django_db
@pytest.mark.parametrize(
    "condition", [{}, *({name: uuid4()} for name in ("vault_id", "actor_id", "resource_id"))]
)
def test_every_list_is_a_walk_down_an_index(condition):
    """On both databases no plan sorts, or reads the table from end to end."""
    from secrets_app.services.audit.query import EventQuery

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Of an empty table anything is cheap; what cannot be avoided is still used.
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_sort = off")
    shown = EventQuery(**condition).filtered()[:10].explain().lower()
    assert "index" in shown
    assert "temp b-tree" not in shown
    assert "sort" not in shown

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction

from secrets_app.models import AuditEvent
from secrets_app.models.ids import first_uuid7, uuid7
from secrets_app.services.audit import OPERATOR, SUCCESS, Resource, record
from secrets_app.services.audit.content import content_of, encode
from secrets_app.services.audit.verify import verify_audit
from secrets_app.services.caller import Actor
from tests.cast import body, secret_url, write_events

CANARY = "canary-" + "5c77de"


@pytest.fixture
def logged(settings, caplog):
    settings.SECRETS_APP = settings.SECRETS_APP | {"AUDIT_LOG": True}
    audit = logging.getLogger("secrets_app.audit")
    audit.addHandler(caplog.handler)
    yield lambda: [json.loads(r.message) for r in caplog.records if r.name == "secrets_app.audit"]
    audit.removeHandler(caplog.handler)


@pytest.mark.django_db(transaction=True)
def test_committed_events_are_logged_as_they_are_sealed(logged):
    write_events(2)
    stored = [content_of(event) for event in AuditEvent.objects.order_by("id")]
    assert sorted(logged(), key=lambda e: e["id"]) == stored


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_not_logged(logged):
    with transaction.atomic():
        write_events(1)
        transaction.set_rollback(True)
    assert logged() == []


def test_off_by_default(alice, vault, caplog, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        alice.api.put(secret_url(vault), body(CANARY))
    assert not [r for r in caplog.records if r.name == "secrets_app.audit"]


def test_no_value_is_logged(alice, vault, logged, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        alice.api.put(secret_url(vault), body(CANARY))
        alice.api.get(secret_url(vault))
    assert {event["action"] for event in logged()} >= {"secret.write", "secret.read"}
    assert CANARY not in str(logged())


@pytest.mark.parametrize(
    "address",
    [
        None,
        "192.0.2.1",
        "2001:db8::1",
        "2001:0DB8:0:0:0:0:0:1",
        "::",
        "::1",
        "fe80::1%eth0",
        "::ffff:1.2.3.4",
    ],
)
@pytest.mark.parametrize(
    "details",
    [
        {},
        {"path": "a/b", "n": 2**53, "is": None, "list": [1, True, "x"], "z": {"b": 1, "a": 2}},
        {"name": 'é "quotes" \\ \u2028 \U0001f511'},
    ],
)
def test_every_database_gives_back_what_the_mac_was_made_over(db, address, details):
    with transaction.atomic():
        record(
            "test.write",
            SUCCESS,
            actor=Actor(uuid7(), "user", address, uuid7()),
            resource=Resource("test", uuid7(), uuid7()),
            details=details,
        )
    assert verify_audit().findings == []


def test_the_content_is_sorted_ascii_without_blanks(db):
    write_events(1)
    event = AuditEvent.objects.get()
    raw = encode(content_of(event)).decode("ascii")
    assert raw.startswith('{"action":"test.write","actor_id":null,"actor_type":"operator",')
    assert json.dumps(json.loads(raw), sort_keys=True, separators=(",", ":")) == raw


@pytest.mark.parametrize("at", [datetime(2026, 11, 24, 5, 6, 7, 123456, UTC), datetime.now(UTC)])
def test_ids_begin_with_the_time_of_their_event(at):
    made = uuid7(at)
    assert made.version == 7
    assert first_uuid7(at) <= made < first_uuid7(at + timedelta(milliseconds=2))
    assert first_uuid7(datetime(1900, 1, 1, tzinfo=UTC)).int == 0


def test_ids_are_sorted_as_their_events_happened_to_the_microsecond():
    began = datetime(2026, 11, 24, 5, 6, 7, 999_000, UTC)
    made = [uuid7(began + timedelta(microseconds=n)) for n in range(2000)]
    assert made == sorted(made)
    assert len(set(made)) == 2000


def test_an_action_of_an_operator_has_no_address(db):
    with transaction.atomic():
        record("test.write", SUCCESS, actor=OPERATOR, resource=Resource("test"))
    event = AuditEvent.objects.get()
    assert (event.actor_id, event.actor_type, event.ip_address) == (None, "operator", None)

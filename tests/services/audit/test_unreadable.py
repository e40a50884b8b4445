"""Rows edited into what no program of ours would write: they are named as well, and stop nothing."""

import pytest
from django.db import connection

from secrets_app.models import AuditEvent, AuditSeal
from secrets_app.services.audit.seal import seal_events
from secrets_app.services.audit.verify import verify_audit
from tests.cast import write_events

DEEP = "'" + "[" * 5000 + "]" * 5000 + "'"
EVENTS = {
    "sqlite": {
        "created_at": "'garbage'",
        "actor_id": "'zz'",
        "request_id": "5",
        "details": DEEP,
        "mac": "'text'",
        "action": "x'ff'",
        "id": "'zz'",
    },
    "postgresql": {"created_at": "'infinity'", "details": DEEP},
}
SEALS = {
    "sqlite": {
        "first_at": "'garbage'",
        "previous": "'text'",
        "signature": "'text'",
        "events": "'many'",
        "number": "'zz'",
    },
    "postgresql": {"first_at": "'-infinity'", "sealed_at": "'infinity'"},
}


def edited(model, pk, column, value):
    """Change a row behind Django's back; returns its id as the database now shows it."""
    table, key = model._meta.db_table, model._meta.pk
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = ON")
        cursor.execute(
            f"UPDATE {table} SET {column} = {value} WHERE {key.column} = %s",
            [key.get_db_prep_value(pk, connection)],
        )
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = OFF")
    return value.strip("'") if column == key.column else str(pk)


def findings():
    return [(each.what, each.id) for each in verify_audit().findings]


def cases(columns):
    return [
        pytest.param(column, value, id=f"{vendor}-{column}", marks=pytest.mark.only_on(vendor))
        for vendor, edits in columns.items()
        for column, value in edits.items()
    ]


@pytest.mark.parametrize(("column", "value"), cases(EVENTS))
@pytest.mark.parametrize("seal", [2, None])
def test_an_event_that_cannot_be_read_is_named(log, seal, column, value):
    victim = AuditEvent.objects.filter(seal_number=seal).order_by("id")[1]
    shown = edited(AuditEvent, victim.pk, column, value)
    assert findings() == [("event", shown)]
    assert verify_audit().checked == 15


@pytest.mark.parametrize(("column", "value"), cases(SEALS))
def test_a_seal_that_cannot_be_read_is_named(log, column, value):
    assert findings() == []
    shown = edited(AuditSeal, 2, column, value)
    assert ("seal", shown) in findings()


# A MAC is not sealed, and a newer Python reads deeper JSON than an older one.
UNSEALABLE = [case for case in cases(EVENTS) if case.values[0] not in ("mac", "details")]


@pytest.mark.parametrize(("column", "value"), UNSEALABLE)
def test_what_cannot_be_read_does_not_keep_the_rest_from_being_sealed(log, column, value):
    victim = AuditEvent.objects.filter(seal_number=None).order_by("id")[1]
    edited(AuditEvent, victim.pk, column, value)
    write_events(2)
    assert [seal.events for seal in seal_events()] == [4]
    assert seal_events() == []


@pytest.mark.parametrize(
    ("column", "value"), [case for case in UNSEALABLE if case.values[0] == "created_at"]
)
def test_the_alarm_tells_of_an_event_that_is_never_sealed(log, nobody, column, value):
    assert nobody.get("/v1/health").json()["status"] == "healthy"
    oldest = AuditEvent.objects.filter(seal_number=None).order_by("id").first()
    edited(AuditEvent, oldest.pk, column, value)
    seal_events()
    assert nobody.get("/v1/health").json()["status"] == "degraded"

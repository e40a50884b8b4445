"""A full disk, a database that is read-only, a clock that jumps: clear errors, nothing stored, and
everything works again when the cause is gone. Providers that stall: `tests/e2e/test_provider_trouble.py`
and `tests/providers/test_contract.py`; a database that is away: `tests/security/test_database_down.py`."""

import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from secrets_app.models import AuditEvent, SecretVersion
from secrets_app.services.audit.seal import seal_events
from tests.cast import Api, body, secret_url
from tests.every_action import run, stored


def is_told_to_come_back(response):
    assert response.status_code == 500, response.content
    assert response["Content-Type"] == "application/problem+json"
    assert int(response["Retry-After"]) > 0
    assert "sqlite" not in response.content.decode().lower()
    return True


@pytest.mark.only_on("sqlite")
@pytest.mark.django_db(transaction=True)
def test_a_full_disk_stores_nothing_and_is_over_when_there_is_room(alice, vault):
    token = alice.token
    assert Api(token).put(secret_url(vault, "before"), body("kept")).status_code == 201
    before = stored()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")  # what other tests have freed is no room
        cursor.execute("PRAGMA page_count")
        (pages,) = cursor.fetchone()
        cursor.execute(f"PRAGMA max_page_count = {pages}")
        try:
            big = body("x" * 500_000)
            assert is_told_to_come_back(Api(token).put(secret_url(vault, "big"), big))
            items = {"secrets": [{"path": f"b/{n}"} | big for n in range(2)]}
            url = f"/v1/vaults/{vault.pk}/secrets:batchWrite"
            assert is_told_to_come_back(Api(token).post(url, items))
            assert stored() == before
        finally:
            cursor.execute("PRAGMA max_page_count = 1073741823")
    assert Api(token).put(secret_url(vault, "big"), big).status_code == 201
    assert Api(token).get(secret_url(vault, "before")).json()["value"] == "kept"


@pytest.mark.django_db(transaction=True)
def test_a_read_only_database_is_said_and_is_over_when_it_takes_writes_again(alice, vault):
    token = alice.token
    assert Api(token).put(secret_url(vault), body("kept")).status_code == 201
    before, events = stored(), AuditEvent.objects.count()
    is_postgresql = connection.vendor == "postgresql"
    switch = "SET default_transaction_read_only = {}" if is_postgresql else "PRAGMA query_only = {}"
    with connection.cursor() as cursor:
        cursor.execute(switch.format("on"))
    try:
        for response in (
            Api(token).put(secret_url(vault), body("lost")),
            Api(token).get(secret_url(vault)),  # it could not be logged
            Api(token).delete(secret_url(vault)),
            Api(token).post("/v1/vaults", {"name": "lost"}),
        ):
            assert is_told_to_come_back(response)
    finally:
        connection.close()  # it may have been left, and the setting was its own
        with connection.cursor() as cursor:
            cursor.execute(switch.format("off"))
    assert (stored(), AuditEvent.objects.count()) == (before, events)
    assert Api(token).get(secret_url(vault)).json()["value"] == "kept"
    assert Api(token).put(secret_url(vault), body("new")).json()["version"] == 2


@pytest.mark.parametrize("jump", [timedelta(days=1), -timedelta(days=1), timedelta(days=400)])
def test_a_clock_that_jumps_does_no_harm(alice, vault, time_machine, jump):
    start = datetime(2027, 1, 1, tzinfo=UTC)
    time_machine.move_to(start)
    tokens = [alice.token]
    Api(tokens[0]).put(secret_url(vault), body("0", max_access_count=50))
    seal_events()
    for turn in range(1, 4):
        time_machine.move_to(start + (jump if turn % 2 else timedelta()))
        tokens.append(alice.token)
        # A token from another time holds or does not; it is never an error.
        for token in tokens:
            assert Api(token).get("/v1/auth/me").status_code in (200, 401)
        written = Api(tokens[-1]).put(secret_url(vault), body(str(turn), max_access_count=50))
        assert written.json()["version"] == turn + 1
        assert Api(tokens[-1]).get(secret_url(vault)).json()["value"] == str(turn)
        seal_events()
    numbers = SecretVersion.objects.values_list("number", flat=True)
    assert sorted(numbers) == [1, 2, 3, 4]
    run("verify_audit")  # raises for what does not fit
    assert json.loads(run("verify_vault", "--json"))["findings"] == []


def test_the_database_under_test_is_the_one_asked_for():
    assert (connection.vendor == "postgresql") is ("TEST_DATABASE_URL" in os.environ)

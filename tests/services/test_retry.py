import threading
import time

import pytest
from django.db import connection, transaction

from secrets_app.models import AuditEvent, Secret, SecretVersion
from tests.cast import body, secret_url

pytestmark = [pytest.mark.only_on("postgresql"), pytest.mark.django_db(transaction=True)]


@pytest.fixture
def session():
    """Sets parameters of the session that the request runs in, and puts them back."""
    with connection.cursor() as cursor:
        yield cursor.execute
        cursor.execute("RESET ALL")
    connection.close()


def other_writer(interfere):
    """Holds the row of `b`, and does something when the request has begun to wait for it."""
    is_held = threading.Event()
    problems = []

    def work():
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL deadlock_timeout = '30s'")
                secret = Secret.objects.select_for_update().get(path="b")
                is_held.set()
                until_somebody_waits(cursor)
                interfere(secret)
        except Exception as error:
            problems.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    assert is_held.wait(10)
    return thread, problems


def until_somebody_waits(cursor):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        cursor.execute(
            "SELECT 1 FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        if cursor.fetchone():
            return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


def write_both(person, vault):
    items = [{"path": path} | body("new") for path in ("a", "b")]
    return person.api.post(f"/v1/vaults/{vault.id}/secrets:batchWrite", {"secrets": items})


@pytest.mark.parametrize("conflict", ["deadlock", "serialization failure"])
def test_a_write_that_lost_against_another_is_tried_again(alice, vault, session, conflict):
    for path in ("a", "b"):
        alice.api.put(secret_url(vault, path), body())
    if conflict == "deadlock":
        session("SET deadlock_timeout = '50ms'")
        thread, problems = other_writer(lambda _: Secret.objects.select_for_update().get(path="a"))
    else:
        session("SET default_transaction_isolation = 'repeatable read'")
        thread, problems = other_writer(lambda secret: secret.save())
    response = write_both(alice, vault)
    thread.join()
    assert not problems
    assert response.status_code == 201
    assert SecretVersion.objects.filter(number=2).count() == 2
    assert AuditEvent.objects.filter(action="secret.write", outcome="success").count() == 4


def test_a_write_that_always_loses_is_given_up_and_stores_nothing(alice, vault):
    alice.api.put(secret_url(vault, "a"), body())
    seen = []

    def refuse(execute, sql, params, many, context):
        if sql.startswith("INSERT") and "secretversion" in sql:
            seen.append(sql)
            sql, params = "DO $$ BEGIN RAISE SQLSTATE '40001'; END $$", None
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        response = write_both(alice, vault)
    assert response.status_code == 500
    assert response["Retry-After"]
    assert len(seen) == 4
    assert SecretVersion.objects.count() == 1

"""Events of several requests are committed with one statement, and each request waits for its own."""

import threading
import time
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, connections, transaction

from secrets_app.models import AuditEvent
from secrets_app.services.audit import convoy, verify
from secrets_app.services.audit.record import SUCCESS, Actor, Event, Resource, record_all
from secrets_app.services.rotation.audit_keys import prepare_audit_key

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def slow_first(monkeypatch):
    """The first statement takes long, so that others gather meanwhile. Tells how many rows each had."""
    sizes, real = [], convoy.store

    def store(rows):
        sizes.append(len(rows))
        if len(sizes) == 1:
            time.sleep(0.5)
        real(rows)

    monkeypatch.setattr(convoy, "store", store)
    return sizes


def at_once(count, act):
    """What each thread's `act` returned or raised; the first has a start."""
    results = {}

    def work(number):
        try:
            if number:
                time.sleep(0.15)
            results[number] = act(number)
        except Exception as error:
            results[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def write(number, **resource):
    actor = Actor(uuid4(), "user", "127.0.0.1", uuid4())
    event = Event("test.read", SUCCESS, Resource("test", **resource), {"n": number})
    record_all([event], actor=actor)
    return AuditEvent.objects.filter(actor_id=actor.id).count()


def test_what_gathers_is_one_statement_and_everybody_finds_its_event_committed(slow_first):
    prepare_audit_key()
    assert at_once(9, write) == dict.fromkeys(range(9), 1)
    assert slow_first == [1, 8]
    assert verify.verify_audit().is_valid


def test_nobody_fails_for_anothers_event(slow_first):
    prepare_audit_key()

    def with_a_bad_one(number):
        if number != 3:
            return write(number)
        rows = [AuditEvent(action="x" * 500, details={}, mac=b"", key_number=1)]
        if connection.vendor == "sqlite":
            rows[0].created_at = None
        convoy.store_events(rows)
        return 1

    results = at_once(6, with_a_bad_one)
    assert isinstance(results.pop(3), DatabaseError)
    assert set(results.values()) == {1}
    assert not AuditEvent.objects.filter(action="x" * 500).exists()


def test_within_a_transaction_an_event_goes_with_it():
    prepare_audit_key()
    with transaction.atomic():
        write(0)
        transaction.set_rollback(True)
    assert not AuditEvent.objects.exists()

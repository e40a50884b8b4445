"""What several requests store is committed together, and each waits for its own."""

import threading
import time
from uuid import uuid4

import pytest
from django.db import DatabaseError, OperationalError, connection, connections, transaction

from secrets_app.models import AuditEvent, Secret, SecretVersion
from secrets_app.services.audit import verify
from secrets_app.services.audit.record import SUCCESS, Event, Resource, record_all
from secrets_app.services.caller import Actor
from secrets_app.services.sealing.audit_keys import prepare_audit_key
from secrets_app.services.transactions import group_commit
from tests.cast import Api, body, secret_url

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def slow_first(monkeypatch):
    """The first statement takes long, so that others gather meanwhile. Tells how many rows each had."""
    sizes, real = [], group_commit.insert_rows

    def store(rows):
        sizes.append(len(rows))
        if len(sizes) == 1:
            time.sleep(0.5)
        real(rows)

    monkeypatch.setattr(group_commit, "insert_rows", store)
    return sizes


def at_once(count, act):
    """What each thread's `act` returned or raised; the first has a start, the others come in order."""
    results = {}

    def work(number):
        try:
            if number:
                time.sleep(0.12 + 0.02 * number)
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
        group_commit.commit_events(rows)
        return 1

    results = at_once(6, with_a_bad_one)
    assert isinstance(results.pop(3), DatabaseError)
    assert set(results.values()) == {1}
    assert not AuditEvent.objects.filter(action="x" * 500).exists()


def secrets_of(vault):
    return {s.path: s.current_version for s in Secret.objects.filter(vault=vault)}


@pytest.fixture
def gathering(monkeypatch):
    """The first commit takes long. Tells how many acts were carried out together."""
    sizes, real = [], group_commit._do

    def do(waiting):
        sizes.append(len(waiting))
        if len(sizes) == 1:
            time.sleep(0.5)
        real(waiting)

    monkeypatch.setattr(group_commit, "_do", do)
    return sizes


def test_writes_that_gather_are_one_transaction(alice, vault, gathering):
    token = alice.token
    results = at_once(7, lambda n: Api(token).put(secret_url(vault, f"p/{n}"), body()).status_code)
    assert results == dict.fromkeys(range(7), 201)
    assert gathering == [1, 6]
    assert secrets_of(vault) == {f"p/{n}": 1 for n in range(7)}
    assert AuditEvent.objects.filter(action="secret.write").count() == 7
    assert verify.verify_audit().is_valid


def test_writes_to_one_path_that_gather_are_numbered_without_gap(alice, vault, gathering):
    token = alice.token
    api = Api(token)
    api.put(secret_url(vault), body())
    gathering.clear()
    answers = at_once(6, lambda n: Api(token).put(secret_url(vault), body()).json()["version"])
    assert sorted(answers.values()) == [2, 3, 4, 5, 6, 7]
    assert SecretVersion.objects.count() == 7


@pytest.mark.only_on("postgresql")
def test_who_waits_for_a_lock_does_not_keep_others_waiting(alice, vault, gathering):
    """Somebody holds a row for longer than anybody wants to wait."""
    token = alice.token
    for path in ("held", "free"):
        Api(token).put(secret_url(vault, path), body())
    gathering.clear()
    holds, done = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            Secret.objects.select_for_update().get(path="held")
            holds.set()
            done.wait(10)
        connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    holds.wait(10)
    took = {}

    def act(number):
        if number == 5:
            time.sleep(2)
            done.set()
            return 201
        path = "held" if number == 1 else "free"
        began = time.monotonic()
        status = Api(token).put(secret_url(vault, path), body()).status_code
        took[number] = time.monotonic() - began
        return status

    try:
        assert set(at_once(6, act).values()) == {201}
    finally:
        done.set()
        holder.join()
    assert took.pop(1) > 1
    assert max(took.values()) < took[0] + 1


@pytest.mark.parametrize("count", [3, 5])
def test_a_write_that_the_database_refuses_fails_alone(alice, vault, gathering, count):
    """The others of its group are stored, and once."""
    token = alice.token

    def at_the_door(number):
        if number != 2:
            return Api(token).put(secret_url(vault, f"q/{number}"), body()).status_code

        def refused(**_):
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO secrets_app_secret (id) VALUES (NULL)")
            return True

        return group_commit.commit_statement(refused)

    results = at_once(count, at_the_door)
    assert isinstance(results.pop(2), DatabaseError)
    assert set(results.values()) == {201}
    assert secrets_of(vault) == {f"q/{n}": 1 for n in range(count) if n != 2}


@pytest.mark.only_on("postgresql")
def test_what_was_lost_with_the_connection_is_not_carried_out_once_more(alice, vault, gathering):
    """Nobody can know whether the commit took place."""
    carried_out = []

    def act(number):
        def one(**_):
            carried_out.append(number)
            if number == 3:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            return True

        return group_commit.commit_statement(one)

    results = at_once(5, act)
    assert results.pop(0) is True
    assert {type(each) for each in results.values()} == {OperationalError}
    assert len(carried_out) == len(set(carried_out))


def test_a_group_that_is_undone_is_carried_out_by_its_threads_side_by_side(alice, vault, gathering):
    """One of them hangs, and the others are answered meanwhile."""
    others_are_done, tries = threading.Barrier(4), {}

    def act(number):
        def one(**_):
            tries[number] = tries.get(number, 0) + 1
            if number == 1 and tries[number] == 1:
                raise DatabaseError("as for a lock")
            return True

        result = group_commit.commit_statement(one)
        if number:
            others_are_done.wait(10)
        return result

    assert at_once(5, act) == dict.fromkeys(range(5), True)
    assert gathering == [1, 4]
    assert tries[1] == 2


def test_within_a_transaction_an_event_goes_with_it():
    prepare_audit_key()
    with transaction.atomic():
        write(0)
        transaction.set_rollback(True)
    assert not AuditEvent.objects.exists()


def test_within_a_transaction_a_statement_is_carried_out_at_once():
    """By this thread, and it may wait for a lock as long as any statement of that transaction."""
    given = []

    def act(**more):
        given.append(more)
        return len(given) == 1

    with transaction.atomic():
        assert group_commit.commit_statement(act) is True
    assert group_commit.commit_statement(act) is False
    assert given == [{}, {"lock_timeout": "10ms"}]


def test_who_waits_for_a_thread_that_is_broken_off_is_told_that_nothing_was_stored(monkeypatch):
    sizes = []

    def do(waiting):
        sizes.append(len(waiting))
        if len(sizes) == 2:
            raise SystemExit  # as when a server ends its threads
        time.sleep(0.5)

    monkeypatch.setattr(group_commit, "_do", do)

    def act(_):
        try:
            return group_commit.commit_statement(lambda **_: True)
        except SystemExit:
            return "ended"

    results = at_once(4, act)
    assert sizes == [1, 3]
    assert results.pop(0) is True
    told = sorted(map(str, results.values()))
    assert told == ["Nothing was stored.", "Nothing was stored.", "ended"]

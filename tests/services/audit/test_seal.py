import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from secrets_app.crypto.merkle import leaf_hash, root_of
from secrets_app.errors import ProviderUnavailable
from secrets_app.models import AuditEvent, AuditKey, AuditSeal
from secrets_app.services.audit import OPERATOR, SUCCESS, Resource, record, seal
from secrets_app.services.audit.content import content_of, encode, seal_hash
from secrets_app.services.audit.health import seal_lag
from secrets_app.services.audit.seal import seal_events
from secrets_app.services.audit.verify import verify_audit
from secrets_app.services.sealing import audit_keys
from tests.cast import write_events


def test_each_seal_holds_the_tree_of_its_events_and_the_hash_of_the_one_before(log):
    seals = list(AuditSeal.objects.order_by("number"))
    assert [each.number for each in seals] == [1, 2, 3]
    assert [each.events for each in seals] == [4, 4, 4]
    assert [each.total for each in seals] == [4, 8, 12]
    assert bytes(seals[0].previous) == bytes(32)
    assert bytes(seals[2].previous) == seal_hash(seals[1])
    events = list(AuditEvent.objects.filter(seal_number=2).order_by("id"))
    assert bytes(seals[1].root) == root_of([leaf_hash(encode(content_of(e))) for e in events])
    assert seals[1].first_at == min(event.created_at for event in events)
    assert AuditEvent.objects.filter(seal_number=None).count() == 3


def test_nothing_to_seal_makes_no_seal(db):
    assert seal_events() == []
    write_events(1)
    assert [each.events for each in seal_events()] == [1]
    assert seal_events() == []


def test_many_events_become_several_seals(db, monkeypatch):
    monkeypatch.setattr(seal, "EVENTS_IN_A_SEAL", 5)
    write_events(12)
    assert [each.events for each in seal_events()] == [5, 5, 2]
    assert verify_audit().is_valid


def test_an_event_that_commits_late_gets_into_a_later_seal(db):
    write_events(2)
    late = AuditEvent.objects.order_by("id").first()
    row = dict(AuditEvent.objects.filter(pk=late.pk).values().get())
    AuditEvent.objects.filter(pk=late.pk).delete()  # as if its transaction were still open
    seal_events()
    AuditEvent.objects.create(**row)
    assert [each.events for each in seal_events()] == [1]
    assert AuditEvent.objects.get(pk=late.pk).seal_number == 2
    assert verify_audit().is_valid


def test_without_the_key_nothing_is_sealed_and_later_everything(db, monkeypatch):
    write_events(3)

    def away():
        raise ProviderUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(seal, "current_audit_key", away)
        with pytest.raises(ProviderUnavailable):
            seal_events()
    assert not AuditSeal.objects.exists()
    assert [each.events for each in seal_events()] == [3]


def test_overtaken_by_another_it_stores_nothing_twice(db, monkeypatch):
    write_events(4)
    signed = audit_keys.current_audit_key
    overtaken = []

    def slow():
        if not overtaken:
            overtaken.append(1)
            write_events(1)
            AuditEvent.objects.order_by("id").first()
            assert [each.events for each in seal_events()] == [5]
        return signed()

    monkeypatch.setattr(seal, "current_audit_key", slow)
    assert seal_events() == []
    assert AuditSeal.objects.count() == 1
    assert verify_audit().is_valid


@pytest.mark.django_db(transaction=True)
def test_many_sealers_and_writers_at_once_make_one_chain():
    audit_keys.prepare_audit_key()
    errors = []
    done = threading.Event()

    def run(step):
        try:
            while not done.is_set():
                step()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    def write_some():
        with transaction.atomic():
            record("test.write", SUCCESS, actor=OPERATOR, resource=Resource("test"))

    threads = [threading.Thread(target=run, args=(seal_events,)) for _ in range(3)]
    threads += [threading.Thread(target=run, args=(write_some,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    done.wait(2)
    done.set()
    for thread in threads:
        thread.join(30)
    assert errors == []
    seal_events()
    report = verify_audit()
    assert report.findings == []
    assert report.unsealed == 0
    assert report.checked == AuditEvent.objects.count() > 0
    assert report.seals == AuditSeal.objects.count() > 1


@pytest.mark.django_db(transaction=True)
def test_first_events_at_once_draw_one_key():
    barrier = threading.Barrier(4)
    errors = []

    def run():
        try:
            barrier.wait(10)
            with transaction.atomic():
                record("test.write", SUCCESS, actor=OPERATOR, resource=Resource("test"))
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert AuditKey.objects.count() == 1
    assert verify_audit().verified == 4


@pytest.mark.django_db(transaction=True)
def test_a_key_that_was_drawn_in_vain_is_drawn_again():
    with transaction.atomic():
        record("test.write", SUCCESS, actor=OPERATOR, resource=Resource("test"))
        transaction.set_rollback(True)
    assert not AuditKey.objects.exists()
    write_events(1)
    assert verify_audit().verified == 1


def test_the_lag_is_the_age_of_the_oldest_unsealed_event(db, monkeypatch):
    assert seal_lag() == 0
    write_events(2)
    later = timezone.now() + timedelta(seconds=100)
    monkeypatch.setattr("secrets_app.services.audit.health.timezone.now", lambda: later)
    assert 99 < seal_lag() < 101
    seal_events()
    assert seal_lag() == 0

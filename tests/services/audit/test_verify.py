"""Each way to change the log behind its back, one at a time; each is found and named."""

import tracemalloc
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils import timezone

from secrets_app.crypto.audit_key import AuditKey as OpenedKey
from secrets_app.models import AuditEvent, AuditKey, AuditSeal
from secrets_app.models.ids import uuid7
from secrets_app.services.audit import seal as sealing
from secrets_app.services.audit.checkpoint import (
    CheckpointError,
    latest_checkpoint,
    read_checkpoint,
)
from secrets_app.services.audit.content import content_of, content_of_seal, encode
from secrets_app.services.audit.seal import seal_events
from secrets_app.services.audit.verify import TimeRange, verify_audit
from tests.cast import write_events


def findings(**options):
    return [(each.what, each.id) for each in verify_audit(**options).findings]


def event(seal, index=1):
    return list(AuditEvent.objects.filter(seal_number=seal).order_by("id"))[index]


def row(instance):
    return type(instance)._base_manager.filter(pk=instance.pk)


def copy(instance, **changes):
    """Insert a row like another."""
    values = dict(row(instance).values().get()) | changes
    return type(instance)._base_manager.create(**values)


def test_an_untouched_log_verifies(log):
    report = verify_audit()
    assert report.is_valid
    assert (report.checked, report.verified, report.unsealed) == (15, 15, 3)
    assert (report.seals, report.pruned) == (3, 0)


EDITS = {
    "action": "secret.none",
    "outcome": "denied",
    "actor_id": UUID(int=7),
    "actor_type": "user",
    "vault_id": UUID(int=7),
    "resource_type": "vault",
    "resource_id": UUID(int=7),
    "details": {"n": 99},
    "ip_address": "192.0.2.1",
    "request_id": UUID(int=7),
    "created_at": timezone.now() - timedelta(days=1),
    "mac": b"x" * 32,
    "key_number": 2,
}


@pytest.mark.parametrize("column", EDITS)
@pytest.mark.parametrize("seal", [2, None])
def test_an_edited_event_is_named(log, column, seal):
    victim = event(seal)
    row(victim).update(**{column: EDITS[column]})
    assert findings() == [("event", str(victim.pk))]


def test_every_column_is_tried():
    columns = {field.name for field in AuditEvent._meta.fields}
    assert columns == set(EDITS) | {"id", "seal_number"}


def test_an_event_with_another_id_is_named(log):
    victim = event(2)
    changed = uuid4()
    row(victim).update(id=changed)
    assert findings() == [("event", str(changed))]


def test_events_that_changed_places_are_named(log):
    first, second = event(2, 0), event(2, 1)
    for one, other in ((first, second), (second, first)):
        row(one).update(action=other.action, details=other.details, created_at=other.created_at)
    found = findings()
    assert ("event", str(first.pk)) in found
    # One of them names the second, unless both were of the same moment and content.
    assert {what for what, _ in found} == {"event"}


def test_events_that_changed_seals_are_found(log):
    one, other = event(1), event(2)
    row(one).update(seal_number=2)
    row(other).update(seal_number=1)
    assert findings()[0] == ("seal", "1")
    assert ("seal", "2") in findings()


@pytest.mark.parametrize("index", [0, 1, 3])
def test_a_deleted_event_is_found_in_its_seal(log, index):
    row(event(2, index)).delete()
    assert findings() == [("seal", "2")]
    assert "lacks 1 of its 4 events" in verify_audit().findings[0].problem


def test_all_events_of_a_seal_deleted_are_found(log):
    AuditEvent.objects.filter(seal_number=2).delete()
    assert findings() == [("seal", "2")]


@pytest.mark.parametrize("seal", [1, 2, 3, None, 9])
def test_an_inserted_event_is_named(log, seal):
    forged = copy(event(2), id=uuid7(), seal_number=seal, details={"n": 1, "forged": True})
    assert ("event", str(forged.pk)) in findings()


def test_an_event_taken_out_of_its_seal_is_found(log):
    """As one would, to delete it unseen before it is sealed again."""
    row(event(2)).update(seal_number=None)
    assert findings() == [("seal", "2")]


def test_an_event_replaced_by_another_with_a_mac_is_found_in_its_seal(log):
    """The MAC of an unsealed event fits; the tree tells that it was not among those sealed."""
    row(event(2)).delete()
    row(event(None)).update(seal_number=2)
    assert findings() == [("seal", "2")]
    assert "other events" in verify_audit().findings[0].problem


SEAL_EDITS = {
    "previous": b"x" * 32,
    "root": b"x" * 32,
    "events": 5,
    "total": 9,
    "first_at": timezone.now() - timedelta(days=1),
    "last_at": timezone.now(),
    "sealed_at": timezone.now(),
    "key_number": 2,
    "signature": b"x" * 64,
    "export_signature": b"x" * 64,
    "pruned_at": timezone.now(),
}


@pytest.mark.parametrize("column", SEAL_EDITS)
def test_an_edited_seal_is_named(log, column):
    AuditSeal.objects.filter(number=2).update(**{column: SEAL_EDITS[column]})
    assert findings()[0] == ("seal", "2")


def test_every_column_of_a_seal_is_tried():
    columns = {field.name for field in AuditSeal._meta.fields}
    # A time of an export without its signature, or a signature of a pruning without its time, means
    # nothing (test_export.py).
    assert columns == set(SEAL_EDITS) | {"number", "exported_at", "prune_signature"}


@pytest.mark.parametrize("number", [1, 2])
def test_a_deleted_seal_is_named(log, number):
    AuditSeal.objects.filter(number=number).delete()
    assert findings()[0] == ("seal", str(number))
    assert verify_audit().findings[0].problem == "is missing"
    strays = AuditEvent.objects.filter(seal_number=number)
    assert {("event", str(each.pk)) for each in strays} <= set(findings())


def test_the_last_seal_deleted_leaves_its_events_behind(log):
    AuditSeal.objects.filter(number=3).delete()
    assert findings() == [
        ("event", str(each.pk)) for each in AuditEvent.objects.filter(seal_number=3).order_by("id")
    ]


def test_seals_that_changed_places_are_named(log):
    AuditSeal.objects.filter(number=1).update(number=9)
    AuditSeal.objects.filter(number=2).update(number=1)
    AuditSeal.objects.filter(number=9).update(number=2)
    assert findings()[0] == ("seal", "1")


@pytest.mark.parametrize("number", [0, 4, 5])
def test_an_inserted_seal_is_found(log, number):
    copy(AuditSeal.objects.get(number=3), number=number)
    assert findings()[0][0] == "seal"


def test_a_log_cut_off_at_its_end_is_found_by_a_checkpoint_only(log):
    checkpoint = latest_checkpoint()
    AuditSeal.objects.filter(number=3).delete()
    AuditEvent.objects.filter(seal_number=3).delete()
    AuditEvent.objects.filter(seal_number=None).delete()
    assert findings() == []
    assert findings(checkpoint=checkpoint) == [("seal", "3")]
    assert "cut off" in verify_audit(checkpoint=checkpoint).findings[0].problem


def test_a_log_that_was_cut_off_and_has_grown_again_is_found_by_a_checkpoint(log):
    checkpoint = latest_checkpoint()
    AuditSeal.objects.filter(number=3).delete()
    AuditEvent.objects.filter(seal_number=3).delete()
    seal_events()
    assert findings() == []
    assert findings(checkpoint=checkpoint) == [("seal", "3")]


def test_a_seal_of_another_history_in_the_place_of_one_is_found(log):
    """Both are of the same key: the log was turned back, went on, and a part of before was put back."""
    seal = AuditSeal.objects.filter(number=3).values().get()
    events = list(AuditEvent.objects.filter(seal_number=3).values())
    AuditSeal.objects.filter(number=3).delete()
    AuditEvent.objects.filter(seal_number=3).delete()
    for _ in range(2):
        write_events(2)
        seal_events()
    AuditSeal.objects.filter(number=3).delete()
    AuditEvent.objects.filter(seal_number=3).delete()
    AuditSeal.objects.create(**seal)
    for each in events:
        AuditEvent.objects.create(**each)
    assert findings() == [("seal", "4")]
    assert verify_audit().findings[0].problem == "does not follow the seal before it"


def test_a_log_begun_anew_is_found_by_a_checkpoint(log):
    checkpoint = latest_checkpoint()
    for model in (AuditEvent, AuditSeal, AuditKey):
        model.objects.all().delete()
    from secrets_app.services.sealing.audit_keys import forget_audit_key

    forget_audit_key()
    for _ in range(3):
        write_events(4)
        seal_events()
    assert findings() == []
    assert findings(checkpoint=checkpoint) == [("checkpoint", "3")]


def test_a_checkpoint_of_an_earlier_seal_still_fits(log):
    checkpoint = latest_checkpoint()
    seal_events()
    assert findings(checkpoint=checkpoint) == []


def test_an_edited_checkpoint_is_named(log):
    checkpoint = latest_checkpoint()
    checkpoint.seal["events"] = 99
    assert findings(checkpoint=checkpoint) == [("checkpoint", "3")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"seal": {}, "signature": "", "public_key": ""}',
        '{"seal": {"scheme": "vaultsite-audit-v1", "number": "1"}, "signature": "", "public_key": ""}',
        '{"seal": {"scheme": "vaultsite-audit-v1", "number": true}, "signature": "", "public_key": ""}',
        '{"seal": {"scheme": "other", "number": 1}, "signature": "", "public_key": ""}',
        '{"seal": {"scheme": "vaultsite-audit-v1", "number": 1}, "signature": "zz", "public_key": ""}',
    ],
)
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(CheckpointError):
        read_checkpoint(text)


def test_whoever_has_no_key_cannot_make_a_log_that_fits(log):
    """All rows rewritten consistently, with a key of the forger's own."""
    forger = OpenedKey(b"f" * 32)
    for each in AuditEvent.objects.all():
        each.action = "nothing.happened"
        row(each).update(action=each.action, mac=forger.mac(encode(content_of(each))))
    for seal in AuditSeal.objects.all():
        row(seal).update(signature=forger.sign(encode(content_of_seal(seal))))
    AuditKey.objects.update(public_key=forger.public_key)
    found = findings()
    assert ("event", str(event(1, 0).pk)) in found
    assert ("seal", "1") in found


def test_an_exchanged_audit_key_is_named(log):
    AuditKey.objects.update(wrapped=b"x" * 60)
    assert findings()[0] == ("key", "1")


def test_an_exchanged_public_key_is_named(log):
    """With it a forged checkpoint or proof would seem to be of this log."""
    AuditKey.objects.update(public_key=OpenedKey(b"f" * 32).public_key)
    assert findings() == [("key", "1")]


def test_only_the_events_of_a_time(log):
    victim = event(1)
    row(victim).update(action="edited")
    boundary = event(2, 0).created_at
    assert findings(within=TimeRange(since=boundary)) == []
    assert findings(within=TimeRange(until=boundary)) == [("event", str(victim.pk))]
    report = verify_audit(within=TimeRange(since=boundary))
    assert (report.checked, report.seals) == (11, 3)


def test_findings_are_bounded(log, monkeypatch):
    write_events(300)
    AuditEvent.objects.update(action="edited")
    assert len(verify_audit().findings) == 100


def test_much_that_was_put_in_is_not_all_read(log, monkeypatch):
    monkeypatch.setattr("secrets_app.services.audit.verify.EVENTS_IN_A_SEAL", 5)
    AuditEvent.objects.filter(seal_number=None).update(seal_number=2)
    write_events(50)
    AuditEvent.objects.filter(seal_number=None).update(seal_number=2)
    report = verify_audit()
    assert [each.id for each in report.findings] == ["2"]
    assert report.checked == 4 + 9 + 4


def test_memory_stays_bounded(db, monkeypatch):
    monkeypatch.setattr(sealing, "EVENTS_IN_A_SEAL", 100)
    write_events(100)
    seal_events()

    def peak():
        tracemalloc.start()
        try:
            assert verify_audit().is_valid
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak()  # caches of imports and queries
    small = peak()
    for _ in range(30):
        write_events(100)
        seal_events()
    assert peak() < 2 * small


def test_it_only_reads(log):
    with connection.execute_wrapper(_refuse_writes):
        assert verify_audit(checkpoint=latest_checkpoint()).is_valid


def _refuse_writes(execute, sql, *arguments):
    assert sql.lstrip().upper().startswith("SELECT"), sql
    return execute(sql, *arguments)

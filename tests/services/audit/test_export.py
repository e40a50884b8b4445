import json
from datetime import timedelta

import pytest
from django.utils import timezone

from secrets_app.crypto.merkle import leaf_hash, root_of
from secrets_app.crypto.signing import is_signed
from secrets_app.models import AuditEvent, AuditSeal
from secrets_app.services.audit import OPERATOR
from secrets_app.services.audit.content import encode
from secrets_app.services.audit.export import Selection, export_events
from secrets_app.services.audit.prune import count_prunable, prune_events
from secrets_app.services.audit.seal import seal_events
from secrets_app.services.audit.verify import verify_audit
from tests.cast import write_events


def export(flush=lambda: None, **selection):
    pieces = []
    done = export_events(
        selection=Selection(**selection), write=pieces.append, flush=flush, actor=OPERATOR
    )
    return done, [json.loads(line) for line in "".join(pieces).splitlines()]


def prune(before):
    done = prune_events(before=before, actor=OPERATOR, on_progress=lambda _: None)
    assert done.altered == []
    return done.seals, done.events


def end_of(seal):
    return AuditSeal.objects.get(number=seal).last_at + timedelta(microseconds=1)


def test_an_export_can_be_checked_without_the_database(log):
    done, lines = export()
    assert (done.seals, done.events) == (3, 12)
    leaves, roots = [], []
    for line in lines:
        if "event" in line:
            leaves.append(leaf_hash(encode(line["event"])))
            continue
        assert root_of(leaves).hex() == line["seal"]["root"]
        assert is_signed(
            encode(line["seal"]),
            bytes.fromhex(line["signature"]),
            bytes.fromhex(line["public_key"]),
        )
        leaves = []
        roots.append(line["seal"]["number"])
    assert (leaves, roots) == ([], [1, 2, 3])


def test_an_export_leaves_an_event_and_marks_what_was_written_whole(log):
    assert not AuditSeal.objects.filter(exported_at__isnull=False).exists()
    boundary = AuditEvent.objects.filter(seal_number=2).order_by("id").first().created_at
    assert export(since=boundary)[0].seals == 2
    numbers = AuditSeal.objects.filter(exported_at__isnull=False).values_list("number", flat=True)
    assert set(numbers) == {2, 3}
    event = AuditEvent.objects.get(action="audit.export")
    assert event.details == {"seals": 2, "events": 8, "last_seal": 3}


def test_a_seal_of_which_a_part_was_written_does_not_count_as_exported(log):
    first = AuditEvent.objects.filter(seal_number=2).order_by("id").first()
    AuditEvent.objects.filter(pk=first.pk).update(created_at=first.created_at - timedelta(days=1))
    export(since=first.created_at - timedelta(hours=1))
    assert 2 not in AuditSeal.objects.filter(exported_at__isnull=False).values_list(
        "number", flat=True
    )


def test_only_what_is_new(log):
    assert export(only_new=True)[0].seals == 3
    assert export(only_new=True) == (type(export()[0])(seals=0, events=0), [])
    seal_events()
    assert export(only_new=True)[0].seals == 1
    # Of an export of events of exports alone there is none, or it would go on for ever.
    seal_events()
    assert export(only_new=True)[0].events == 1
    assert seal_events() == []
    assert export(after_seal=2)[1][-1]["seal"]["number"] == AuditSeal.objects.count()


def test_what_did_not_reach_the_disk_is_not_marked(log):
    def fail():
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        export(flush=fail)
    assert not AuditSeal.objects.filter(exported_at__isnull=False).exists()
    assert not AuditEvent.objects.filter(action="audit.export").exists()


def test_only_sealed_and_exported_events_are_pruned_and_the_rest_verifies(log):
    everything = end_of(3) + timedelta(days=1)
    assert prune(everything) == (0, 0)
    export(until=end_of(2))
    plan = count_prunable(before=everything)
    assert (plan.seals, plan.events, plan.not_exported) == (2, 8, 1)
    assert prune(everything) == (2, 8)
    assert set(AuditEvent.objects.values_list("seal_number", flat=True)) == {3, None}
    assert AuditSeal.objects.count() == 3
    report = verify_audit()
    assert report.findings == []
    assert (report.seals, report.pruned) == (3, 2)
    seal_events()
    assert verify_audit().is_valid


def test_pruning_goes_by_the_newest_event_of_a_seal(log):
    export()
    assert prune(AuditSeal.objects.get(number=2).last_at) == (1, 4)


def test_pruning_leaves_an_event_for_each_seal(log):
    export()
    prune(end_of(2))
    events = AuditEvent.objects.filter(action="audit.prune").order_by("id")
    assert [each.details for each in events] == [
        {"seal": 1, "events": 4},
        {"seal": 2, "events": 4},
    ]


@pytest.mark.parametrize("tamper", ["edit", "delete", "seal"])
def test_pruning_does_not_remove_the_traces_of_tampering(log, tamper):
    export()
    victim = AuditEvent.objects.filter(seal_number=2).order_by("id")[1]
    row = AuditEvent.objects.filter(pk=victim.pk)
    if tamper == "edit":
        row.update(action="edited")
    elif tamper == "delete":
        row.delete()
    else:
        AuditSeal.objects.filter(number=2).update(total=99)
    done = prune_events(before=end_of(3), actor=OPERATOR, on_progress=lambda _: None)
    assert (done.seals, done.altered) == (2, [2])
    assert AuditEvent.objects.filter(seal_number=2).exists()
    assert not verify_audit().is_valid


def as_of_seal_1(seal_1):
    return {"exported_at": seal_1.exported_at, "export_signature": seal_1.export_signature}


def test_a_mark_that_no_export_made_is_named_and_nothing_is_pruned_by_it(log):
    export(until=end_of(1))
    AuditSeal.objects.filter(number=2).update(**as_of_seal_1(AuditSeal.objects.get(number=1)))
    done = prune_events(before=end_of(3), actor=OPERATOR, on_progress=lambda _: None)
    assert (done.seals, done.altered) == (1, [2])
    assert AuditEvent.objects.filter(seal_number=2).count() == 4
    (finding,) = verify_audit().findings
    assert (finding.id, finding.problem) == ("2", "is marked as exported, but not by export_audit")


@pytest.mark.parametrize("what", ["event", "seal"])
def test_what_was_altered_while_it_was_exported_gets_no_mark(log, what):
    """Or the export would hold something else than what is pruned once the row is as it was."""
    victim = AuditEvent.objects.filter(seal_number=2).first()
    row = (
        AuditEvent.objects.filter(pk=victim.pk)
        if what == "event"
        else AuditSeal.objects.filter(number=2)
    )
    before, edit = row.values().get(), {"action": "x"} if what == "event" else {"total": 99}
    row.update(**edit)
    assert export()[0].seals == 3
    row.update(**{column: before[column] for column in edit})
    assert verify_audit().is_valid
    assert count_prunable(before=end_of(3)).not_exported == 1
    assert prune(end_of(3)) == (2, 8)


def test_a_mark_without_a_signature_means_nothing(log):
    """Those of earlier releases have none."""
    AuditSeal.objects.update(exported_at=timezone.now())
    assert verify_audit().is_valid
    assert count_prunable(before=end_of(3)).not_exported == 3
    assert prune(end_of(3)) == (0, 0)


def test_a_mark_that_was_taken_away_costs_another_export(log):
    export()
    AuditSeal.objects.filter(number=2).update(export_signature=None)
    assert verify_audit().is_valid
    assert export(only_new=True)[0].seals == 1
    assert prune(end_of(3)) == (3, 12)


def test_whoever_deletes_and_marks_as_pruned_is_found(log):
    AuditEvent.objects.filter(seal_number=2).delete()
    signed = AuditSeal.objects.get(number=1)
    export()
    prune(end_of(1))
    signed.refresh_from_db()
    AuditSeal.objects.filter(number=2).update(
        pruned_at=signed.pruned_at, prune_signature=signed.prune_signature
    )
    (finding,) = verify_audit().findings
    assert (finding.what, finding.id) == ("seal", "2")


def test_what_comes_back_after_pruning_is_named(log):
    rows = list(AuditEvent.objects.filter(seal_number=1).values())
    export()
    prune(end_of(1))
    AuditEvent.objects.create(**rows[0])
    (finding,) = verify_audit().findings
    assert (finding.what, finding.id) == ("event", str(rows[0]["id"]))


def test_without_its_event_nothing_is_pruned(log, unwritable_log):
    from django.db import OperationalError

    export()

    with unwritable_log(), pytest.raises(OperationalError):
        prune(end_of(2))
    assert AuditEvent.objects.filter(seal_number=1).count() == 4
    assert AuditSeal.objects.get(number=1).pruned_at is None


def test_pruned_seals_are_not_exported_again(log):
    export()
    prune(end_of(1))
    write_events(1)
    assert [line["seal"]["number"] for line in export()[1] if "seal" in line] == [2, 3]

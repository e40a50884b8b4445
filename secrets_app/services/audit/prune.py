"""Remove the events of old seals. The seals stay, so what remains still verifies."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from secrets_app.crypto.audit_key import AuditKey
from secrets_app.models import AuditEvent, AuditSeal
from secrets_app.services.audit.content import content_of_pruning, encode
from secrets_app.services.audit.record import SUCCESS, Resource, record
from secrets_app.services.audit.verify import is_export_signed, is_seal_intact
from secrets_app.services.caller import Actor
from secrets_app.services.sealing.audit_keys import opened_audit_keys


@dataclass(frozen=True, slots=True)
class Prunable:
    """How much could be pruned. `not_exported`: seals that are old enough, but not exported yet."""

    seals: int
    events: int
    not_exported: int


def count_prunable(*, before: datetime) -> Prunable:
    """Count the seals whose events are all older than `before`."""
    old = _old(before)
    exported = old.filter(export_signature__isnull=False)
    return Prunable(
        seals=exported.count(),
        events=sum(exported.values_list("events", flat=True)),
        not_exported=old.filter(export_signature__isnull=True).count(),
    )


@dataclass(slots=True)
class Pruned:
    """What was pruned. `altered`: numbers of seals that were left, because they or their events were
    changed.
    """

    seals: int = 0
    events: int = 0
    altered: list[int] = field(default_factory=list)


def prune_events(*, before: datetime, actor: Actor, on_progress: Callable[[int], None]) -> Pruned:
    """Remove the events of exported seals that are all older than `before`.

    Each seal is pruned in a transaction of its own, with an event. A seal is left for verify_audit to
    report when its events were tampered with, since a signed pruning would hide the traces, or when
    its mark of an export is not signed, since its events may be nowhere else. Raises
    ProviderError.
    """
    keys, _ = opened_audit_keys()
    done = Pruned()
    for seal in _old(before).filter(export_signature__isnull=False).order_by("number"):
        if is_seal_intact(seal, keys) and is_export_signed(seal, keys[seal.key_number]):
            _prune(seal, keys[seal.key_number], actor, done)
        else:
            done.altered.append(seal.number)
        on_progress(1)
    return done


def _prune(seal: AuditSeal, key: AuditKey, actor: Actor, done: Pruned) -> None:
    with transaction.atomic():
        seal.pruned_at = timezone.now()
        signature = key.sign(encode(content_of_pruning(seal)))
        is_mine = AuditSeal.objects.filter(number=seal.number, pruned_at__isnull=True).update(
            pruned_at=seal.pruned_at, prune_signature=signature
        )
        if not is_mine:
            return  # another run was faster
        removed, _ = AuditEvent.objects.filter(seal_number=seal.number).delete()
        record(
            "audit.prune",
            SUCCESS,
            actor=actor,
            resource=Resource("audit_log"),
            details={"seal": seal.number, "events": removed},
        )
    done.seals += 1
    done.events += removed


def _old(before: datetime) -> QuerySet[AuditSeal]:
    return AuditSeal.objects.filter(last_at__lt=before, pruned_at__isnull=True)

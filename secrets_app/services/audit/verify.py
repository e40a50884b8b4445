"""Computing the whole log again: every MAC, tree, link and signature, in bounded memory.

May run while events are written, sealed and pruned: what looks wrong is looked at again before it is
told.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hmac import compare_digest
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from secrets_app.crypto.audit_key import AuditKey
from secrets_app.crypto.merkle import leaf_hash, root_of
from secrets_app.crypto.signing import is_signed
from secrets_app.models import AuditEvent, AuditSeal
from secrets_app.services.audit.checkpoint import Checkpoint
from secrets_app.services.audit.content import (
    EVENT_COLUMNS,
    NOTHING_BEFORE,
    content_of,
    content_of_pruning,
    content_of_seal,
    encode,
    seal_hash,
)
from secrets_app.services.audit.record import FAILURE, SUCCESS, Actor, Resource, record
from secrets_app.services.audit.seal import EVENTS_IN_A_SEAL, unsealed
from secrets_app.services.rotation.audit_keys import opened_audit_keys

_MOST_FINDINGS = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not fit. `what`: event, seal, key or checkpoint; `id`: of an event, else a
    number."""

    what: str
    id: str
    problem: str


@dataclass(slots=True)
class Report:
    """`findings`: the first hundred, oldest first. `checked` and `verified` count events."""

    findings: list[Finding] = field(default_factory=list)
    checked: int = 0
    verified: int = 0
    seals: int = 0
    pruned: int = 0
    unsealed: int = 0

    @property
    def is_valid(self) -> bool:
        return not self.findings


@dataclass(frozen=True, slots=True)
class Range:
    """Events of a time only; the chain of seals is always checked as a whole."""

    since: datetime | None = None
    until: datetime | None = None

    def touches(self, seal: AuditSeal) -> bool:
        is_after = self.since is None or seal.last_at >= self.since
        return is_after and (self.until is None or seal.first_at < self.until)

    def narrowed(self, events: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        if self.since is not None:
            events = events.filter(created_at__gte=self.since)
        return events if self.until is None else events.filter(created_at__lt=self.until)


def verify_audit(
    *,
    within: Range = Range(),
    checkpoint: Checkpoint | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Report:
    """Check everything, or the events of a time; with `checkpoint` also that the log still holds it.

    Raises ProviderError when the key cannot be had: nothing is known then.
    """
    keys, unopened = opened_audit_keys()
    report = Report()
    for finding in _findings(keys, unopened, within, checkpoint, report, on_progress):
        report.findings.append(finding)
        if len(report.findings) == _MOST_FINDINGS:
            break
    return report


def verify_and_record(
    *, actor: Actor, checkpoint: Checkpoint | None, on_progress: Callable[[int], None]
) -> Report:
    """As `verify_audit` without limits; leaves an event with its result."""
    report = verify_audit(checkpoint=checkpoint, on_progress=on_progress)
    with transaction.atomic():
        record(
            "audit.verify",
            SUCCESS if report.is_valid else FAILURE,
            actor=actor,
            resource=Resource("audit_log"),
            details={"checked": report.checked, "findings": len(report.findings)},
        )
    return report


def count_checkable() -> int:
    """How many events there are, for a progress bar."""
    return AuditEvent.objects.count()


def _findings(
    keys: dict[int, AuditKey],
    unopened: list[int],
    within: Range,
    checkpoint: Checkpoint | None,
    report: Report,
    on_progress: Callable[[int], None],
) -> Iterator[Finding]:
    for number in unopened:
        yield Finding("key", str(number), "does not open: it was edited or exchanged")
    if checkpoint is not None:
        yield from _check_checkpoint(checkpoint, keys)
    previous: AuditSeal | None = None
    for seal in _seals():
        problem = _problem_of_seal(seal, previous, keys)
        if problem:
            yield problem
        if seal.pruned_at is not None:
            report.pruned += 1
        elif within.touches(seal):
            yield from _check_events(seal, keys, report, on_progress)
        report.seals += 1
        previous = seal
    yield from _check_strays()
    yield from _check_unsealed(within, keys, report, on_progress)


def _seals() -> Iterator[AuditSeal]:
    after = -1
    while page := list(AuditSeal.objects.filter(number__gt=after).order_by("number")[:200]):
        yield from page
        after = page[-1].number


def _problem_of_seal(
    seal: AuditSeal, previous: AuditSeal | None, keys: dict[int, AuditKey]
) -> Finding | None:
    number = previous.number + 1 if previous else 1
    if seal.number != number:
        return Finding("seal", str(number), "is missing")
    key = keys.get(seal.key_number)
    content = encode(content_of_seal(seal))
    if key is None or not is_signed(content, bytes(seal.signature), key.public_key):
        return Finding("seal", str(number), "has a signature that does not fit: it was edited")
    if bytes(seal.previous) != (seal_hash(previous) if previous else NOTHING_BEFORE):
        return Finding("seal", str(number), "does not follow the seal before it")
    if seal.pruned_at is not None and not _is_pruning_signed(seal, key):
        return Finding("seal", str(number), "is marked as pruned, but not by prune_audit")
    return None


def _is_pruning_signed(seal: AuditSeal, key: AuditKey) -> bool:
    signature = bytes(seal.prune_signature or b"")
    return is_signed(encode(content_of_pruning(seal)), signature, key.public_key)


def _check_events(
    seal: AuditSeal,
    keys: dict[int, AuditKey],
    report: Report,
    on_progress: Callable[[int], None],
) -> Iterator[Finding]:
    # Some more than there should be, to name what was put in; not everything somebody may have put in.
    sealed = AuditEvent.objects.filter(seal_number=seal.number)
    events = _rows(sealed, most=seal.events + EVENTS_IN_A_SEAL)
    if len(events) != seal.events and _was_pruned_meanwhile(seal):
        return
    findings, leaves = _check_macs(events, keys)
    report.checked += len(events)
    on_progress(len(events))
    if findings:
        report.verified += len(events) - len(findings)
        yield from findings
    elif len(events) < seal.events:
        lacking = seal.events - len(events)
        yield Finding("seal", str(seal.number), f"lacks {lacking} of its {seal.events} events")
    elif len(events) > seal.events:
        surplus = len(events) - seal.events
        yield Finding("seal", str(seal.number), f"has {surplus} events that it did not seal")
    elif not compare_digest(root_of(leaves), bytes(seal.root)):
        yield Finding("seal", str(seal.number), "has other events than those that were sealed")
    else:
        report.verified += len(events)


def _rows(events: QuerySet[AuditEvent], *, most: int) -> list[Any]:
    return list(events.order_by("id").values_list(*EVENT_COLUMNS, "mac", named=True)[:most])


def _was_pruned_meanwhile(seal: AuditSeal) -> bool:
    return AuditSeal.objects.filter(number=seal.number, pruned_at__isnull=False).exists()


def _check_macs(
    events: Sequence[Any], keys: dict[int, AuditKey]
) -> tuple[list[Finding], list[bytes]]:
    findings, leaves = [], []
    for event in events:
        content = encode(content_of(event))
        key = keys.get(event.key_number)
        if key is None or not key.has_mac(content, bytes(event.mac)):
            findings.append(
                Finding("event", str(event.id), "has a MAC that does not fit: edited or put in")
            )
        leaves.append(leaf_hash(content))
    return findings, leaves


def _check_strays() -> Iterator[Finding]:
    """Events of a seal that is not there, or whose events were pruned."""
    seal = AuditSeal.objects.filter(number=OuterRef("seal_number"), pruned_at__isnull=True)
    strays = AuditEvent.objects.filter(seal_number__isnull=False).exclude(Exists(seal))
    for event in strays.order_by("id")[:_MOST_FINDINGS]:
        problem = f"belongs to seal {event.seal_number}, which is not there or pruned"
        yield Finding("event", str(event.id), problem)


def _check_unsealed(
    within: Range,
    keys: dict[int, AuditKey],
    report: Report,
    on_progress: Callable[[int], None],
) -> Iterator[Finding]:
    after = UUID(int=0)
    waiting = within.narrowed(unsealed())
    while page := _rows(waiting.filter(pk__gt=after), most=EVENTS_IN_A_SEAL):
        findings, _ = _check_macs(page, keys)
        report.checked += len(page)
        report.unsealed += len(page)
        report.verified += len(page) - len(findings)
        on_progress(len(page))
        yield from findings
        after = page[-1].id


def _check_checkpoint(checkpoint: Checkpoint, keys: dict[int, AuditKey]) -> Iterator[Finding]:
    content = encode(checkpoint.seal)
    number = checkpoint.seal["number"]
    key = keys.get(checkpoint.seal.get("key", 0))
    if not is_signed(content, checkpoint.signature, checkpoint.public_key):
        yield Finding("checkpoint", str(number), "is not signed by the key that it names: edited")
    elif key is None or key.public_key != checkpoint.public_key:
        yield Finding("checkpoint", str(number), "is signed by another key than this log's")
    else:
        seal = AuditSeal.objects.filter(number=number).first()
        if seal is None:
            yield Finding("seal", str(number), "is missing: the log was cut off before it")
        elif encode(content_of_seal(seal)) != content:
            yield Finding("seal", str(number), "is not the one of the checkpoint: rewritten")

"""Verify the whole log: compute every MAC, tree, link and signature again, in bounded memory.

It may run while events are written, sealed and pruned: what looks wrong is looked at again before it is
reported.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from hmac import compare_digest
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
    content_of_export,
    content_of_pruning,
    content_of_seal,
    encode,
    seal_hash,
)
from secrets_app.services.audit.record import FAILURE, SUCCESS, Resource, record
from secrets_app.services.audit.seal import EVENTS_IN_A_SEAL, unsealed
from secrets_app.services.caller import Actor
from secrets_app.services.sealing.audit_keys import opened_audit_keys
from secrets_app.sql.damaged_rows import read_each

_MOST_FINDINGS = 100
_SEALS_IN_A_PAGE = 200
_UNREADABLE = "cannot be read: it was edited"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not fit.

    `what`: event, seal, key or checkpoint. `id`: an event's id, else a number.
    """

    what: str
    id: str
    problem: str


@dataclass(slots=True)
class Report:
    """The result. `findings`: the first hundred, oldest first. `checked` and `verified` count events."""

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
class TimeRange:
    """A time to check the events of. The chain of seals is always checked as a whole."""

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
    within: TimeRange = TimeRange(),
    checkpoint: Checkpoint | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Report:
    """Check all events, or those of a time; with `checkpoint` also that the log still contains it.

    `on_progress` gets the number of events of each step. Raises ProviderError when a key is not
    available, since nothing can be said then.
    """
    keys, altered = opened_audit_keys()
    report = Report()
    for finding in _findings(keys, altered, within, checkpoint, report, on_progress):
        report.findings.append(finding)
        if len(report.findings) == _MOST_FINDINGS:
            break
    return report


def is_seal_intact(seal: AuditSeal, keys: dict[int, AuditKey]) -> bool:
    """Tell whether a seal's signature is right and its events are those that it sealed."""
    findings = _check_events(seal, keys, Report(), lambda _: None)
    return signer_of(seal, keys) is not None and not any(findings)


def note_verification(report: Report, *, actor: Actor) -> None:
    """Record the event of a verification. Raises CryptoError when its key is not available.

    This is a step of its own: an altered log must be reported even when the key that events need is
    gone.
    """
    with transaction.atomic():
        record(
            "audit.verify",
            SUCCESS if report.is_valid else FAILURE,
            actor=actor,
            resource=Resource("audit_log"),
            details={"checked": report.checked, "findings": len(report.findings)},
        )


def count_checkable() -> int:
    """Return how many events there are, for a progress bar."""
    return AuditEvent.objects.count()


def _findings(
    keys: dict[int, AuditKey],
    altered: list[int],
    within: TimeRange,
    checkpoint: Checkpoint | None,
    report: Report,
    on_progress: Callable[[int], None],
) -> Iterator[Finding]:
    for number in altered:
        yield Finding("key", str(number), "does not open or has another public key: edited")
    if checkpoint is not None:
        yield from _check_checkpoint(checkpoint, keys)
    previous: AuditSeal | None = None
    for seal in _seals():
        if isinstance(seal, Finding):
            yield seal
            continue
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


def _seals() -> Iterator[AuditSeal | Finding]:
    """Yield seals in order, page by page. A finding about an unreadable seal precedes its page."""
    after, is_more = -1, True
    while is_more:
        page = AuditSeal.objects.filter(number__gt=after).order_by("number")
        seals, damaged = read_each(page, _try_to_read, most=_SEALS_IN_A_PAGE)
        yield from (Finding("seal", number, _UNREADABLE) for number in damaged)
        yield from (seal for seal, _ in seals)
        after = seals[-1][0].number if seals else after
        is_more = bool(seals) and len(seals) + len(damaged) == _SEALS_IN_A_PAGE


def _try_to_read(seal: AuditSeal) -> None:
    """Raise what the checks would raise on a damaged row."""
    encode(content_of_seal(seal))
    bytes(seal.signature) + bytes(seal.prune_signature or b"") + bytes(seal.export_signature or b"")
    range(seal.number + max(seal.events, 0))


def _problem_of_seal(
    seal: AuditSeal, previous: AuditSeal | None, keys: dict[int, AuditKey]
) -> Finding | None:
    number = previous.number + 1 if previous else 1
    if seal.number != number:
        return Finding("seal", str(number), "is missing")
    key = signer_of(seal, keys)
    if key is None:
        return Finding("seal", str(number), "has a signature that does not fit: it was edited")
    if bytes(seal.previous) != (seal_hash(previous) if previous else NOTHING_BEFORE):
        return Finding("seal", str(number), "does not follow the seal before it")
    if seal.pruned_at is not None and not _is_pruning_signed(seal, key):
        return Finding("seal", str(number), "is marked as pruned, but not by prune_audit")
    if seal.export_signature is not None and not is_export_signed(seal, key):
        return Finding("seal", str(number), "is marked as exported, but not by export_audit")
    return None


def signer_of(seal: AuditSeal, keys: dict[int, AuditKey]) -> AuditKey | None:
    """Return the key that signed a seal, or None when the signature does not fit."""
    key = keys.get(seal.key_number)
    content = encode(content_of_seal(seal))
    fits = key is not None and is_signed(content, bytes(seal.signature), key.public_key)
    return key if fits else None


def is_export_signed(seal: AuditSeal, key: AuditKey) -> bool:
    """Tell whether `export_audit` made the mark that a seal's events were exported."""
    signature = bytes(seal.export_signature or b"")
    return is_signed(encode(content_of_export(seal)), signature, key.public_key)


def _is_pruning_signed(seal: AuditSeal, key: AuditKey) -> bool:
    signature = bytes(seal.prune_signature or b"")
    return is_signed(encode(content_of_pruning(seal)), signature, key.public_key)


def _check_events(
    seal: AuditSeal,
    keys: dict[int, AuditKey],
    report: Report,
    on_progress: Callable[[int], None],
) -> Iterator[Finding]:
    # A few more than were sealed, to name events that were put in, but not a whole flood of them.
    most = max(seal.events, 0) + EVENTS_IN_A_SEAL
    page = _check_macs(AuditEvent.objects.filter(seal_number=seal.number), keys, most=most)
    if page.events != seal.events and _was_pruned_meanwhile(seal):
        return
    report.checked += page.events
    on_progress(page.events)
    if page.findings:
        report.verified += page.events - len(page.findings)
        yield from page.findings
    elif page.events < seal.events:
        lacking = seal.events - page.events
        yield Finding("seal", str(seal.number), f"lacks {lacking} of its {seal.events} events")
    elif page.events > seal.events:
        surplus = page.events - seal.events
        yield Finding("seal", str(seal.number), f"has {surplus} events that it did not seal")
    elif not compare_digest(root_of(page.leaves), bytes(seal.root)):
        yield Finding("seal", str(seal.number), "has other events than those that were sealed")
    else:
        report.verified += page.events


def _was_pruned_meanwhile(seal: AuditSeal) -> bool:
    return AuditSeal.objects.filter(number=seal.number, pruned_at__isnull=False).exists()


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of checked events, by id. `leaves` and `last` (an id) leave out unreadable events."""

    events: int
    leaves: list[bytes]
    findings: list[Finding]
    last: UUID | None


def _check_macs(events: QuerySet[AuditEvent], keys: dict[int, AuditKey], *, most: int) -> _Page:
    rows = events.order_by("id").values_list(*EVENT_COLUMNS, "mac", named=True)
    read, damaged = read_each(
        rows, lambda row: (encode(content_of(row)), bytes(row.mac)), most=most
    )
    findings = [Finding("event", name, _UNREADABLE) for name in damaged]
    leaves = []
    for event, (content, mac) in read:
        key = keys.get(event.key_number)
        if key is None or not key.has_mac(content, mac):
            findings.append(
                Finding("event", str(event.id), "has a MAC that does not fit: edited or put in")
            )
        leaves.append(leaf_hash(content))
    last = read[-1][0].id if read else None
    return _Page(len(read) + len(damaged), leaves, findings, last)


def _check_strays() -> Iterator[Finding]:
    """Find events whose seal does not exist or was pruned."""
    seal = AuditSeal.objects.filter(number=OuterRef("seal_number"), pruned_at__isnull=True)
    strays = AuditEvent.objects.filter(seal_number__isnull=False).exclude(Exists(seal))
    read, damaged = read_each(strays.only("seal_number").order_by("id"), str, most=_MOST_FINDINGS)
    for event, _ in read:
        problem = f"belongs to seal {event.seal_number}, which is not there or pruned"
        yield Finding("event", str(event.id), problem)
    yield from (Finding("event", name, _UNREADABLE) for name in damaged)


def _check_unsealed(
    within: TimeRange,
    keys: dict[int, AuditKey],
    report: Report,
    on_progress: Callable[[int], None],
) -> Iterator[Finding]:
    after: UUID | None = UUID(int=0)
    waiting = within.narrowed(unsealed())
    while after is not None:
        page = _check_macs(waiting.filter(pk__gt=after), keys, most=EVENTS_IN_A_SEAL)
        report.checked += page.events
        report.unsealed += page.events
        report.verified += page.events - len(page.findings)
        on_progress(page.events)
        yield from page.findings
        after = page.last if page.events == EVENTS_IN_A_SEAL else None


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

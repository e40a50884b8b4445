"""Count what happens, by the audit log. Ids rise with time, so each count is a range of an index."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.core.cache import cache
from django.db.models import Count, QuerySet, Value
from django.utils import timezone

from secrets_app.models import AuditEvent, Secret
from secrets_app.models.ids import first_uuid7
from secrets_app.services.audit.failures import BURST

READS = ("secret.read",)
WRITES = (
    "secret.write",
    "secret.rotate",
    "secret.delete",
    "secret.undelete",
    "secret.disable",
    "secret.purge",
)
FAILED_SIGN_INS = ("auth.failure", BURST)

# `most_read` counts only as many of the newest reads.
LOOKED_AT = 100_000
# A transaction may commit its events this many seconds after they were made.
_LATE_S = 60


@dataclass(frozen=True, slots=True)
class Span:
    """What happened from `start` until `end`. `reads` and `writes` leave out failed and denied ones."""

    start: datetime
    end: datetime
    reads: int
    writes: int
    denials: int
    failed_sign_ins: int


def refused_events() -> QuerySet[AuditEvent]:
    """Return the events that are no success. A partial index has just these."""
    return AuditEvent.objects.exclude(outcome=AuditEvent.Outcome.SUCCESS)


def between(
    events: QuerySet[AuditEvent], start: datetime, end: datetime | None
) -> QuerySet[AuditEvent]:
    """Narrow events to those from `start` until `end` (exclusive), by their ids."""
    events = events.filter(id__gte=first_uuid7(start))
    return events if end is None else events.filter(id__lt=first_uuid7(end))


def activity(*, spans: int, each: timedelta) -> list[Span]:
    """Count what happened in the last `spans` spans of length `each`, oldest first. The last is not over
    yet.

    Spans begin at multiples of their length. A span that is over does not change, so it is counted once
    and kept in Django's cache.
    """
    seconds = int(each.total_seconds())
    now = int(timezone.now().timestamp())
    last = now - now % seconds
    starts = [last - n * seconds for n in reversed(range(spans))]
    names = {start: f"secrets_app.activity.{seconds}.{start}" for start in starts}
    kept = cache.get_many(names.values())
    missing = [start for start in starts if names[start] not in kept]
    counted = dict(zip(missing, _count(missing, seconds), strict=True))
    over = {
        names[start]: span for start, span in counted.items() if start + seconds + _LATE_S < now
    }
    cache.set_many(over, timeout=(spans + 1) * seconds)
    return [counted.get(start) or kept[names[start]] for start in starts]


def _count(starts: list[int], seconds: int) -> list[Span]:
    if not starts:
        return []
    zone = timezone.get_current_timezone()
    bounds = [
        (datetime.fromtimestamp(start, zone), datetime.fromtimestamp(start + seconds, zone))
        for start in starts
    ]
    tried = _count_by_action(AuditEvent.objects.filter(action__in=READS + WRITES), bounds)
    refused = _count_by_action(refused_events(), bounds)
    denied = _count_by_action(refused_events().filter(outcome="denied"), bounds)
    bursts = _count_in_bursts(bounds)
    return [
        Span(
            start=start,
            end=end,
            reads=sum(tried[n][action] - refused[n][action] for action in READS),
            writes=sum(tried[n][action] - refused[n][action] for action in WRITES),
            denials=denied[n].total(),
            failed_sign_ins=refused[n]["auth.failure"] + bursts[n],
        )
        for n, (start, end) in enumerate(bounds)
    ]


def most_read(*, since: datetime, most: int) -> list[tuple[Secret, int]]:
    """Return the secrets that were read most since a time, with their counts, among the `LOOKED_AT`
    newest reads.
    """
    reads = AuditEvent.objects.filter(
        action__in=READS, id__gte=first_uuid7(since), resource_id__isnull=False
    )
    newest = reads.order_by("-id").values_list("id", flat=True)
    last = newest[LOOKED_AT : LOOKED_AT + 1].first()
    if last is not None:
        reads = reads.filter(id__gt=last)
    counts: dict[UUID | None, int] = dict(
        reads.order_by()
        .values_list("resource_id")
        .annotate(n=Count("pk"))
        .order_by("-n", "resource_id")[:most]
    )
    secrets = Secret.objects.select_related("vault").in_bulk(list(counts))
    return [(secrets[pk], n) for pk, n in counts.items() if pk in secrets]


def _count_in_bursts(bounds: list[tuple[datetime, datetime]]) -> list[int]:
    """How many failures are told of by sums, for each pair of bounds."""
    within = between(refused_events().filter(action=BURST), bounds[0][0], bounds[-1][1])
    counts = [0] * len(bounds)
    for created_at, details in within.order_by().values_list("created_at", "details"):
        for n, (start, end) in enumerate(bounds):
            if start <= created_at < end:
                counts[n] += details["more"]
    return counts


def _count_by_action(
    events: QuerySet[AuditEvent], bounds: list[tuple[datetime, datetime]]
) -> list[Counter[str]]:
    """Count actions for each pair of bounds, with one statement."""
    parts = [
        between(events, start, end)
        .annotate(span=Value(n))
        .order_by()
        .values_list("span", "action")
        .annotate(n=Count("pk"))
        for n, (start, end) in enumerate(bounds)
    ]
    counts: list[Counter[str]] = [Counter() for _ in parts]
    for n, action, count in parts[0].union(*parts[1:], all=True):
        counts[n][action] += count
    return counts

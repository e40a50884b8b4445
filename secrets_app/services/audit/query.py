"""Asking the log, newest first. Every list is a walk down an index that ends with the page."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from secrets_app.errors import NotFound
from secrets_app.models import AuditEvent
from secrets_app.models.ids import first_uuid7
from secrets_app.services.audit.visibility import Visibility, visibility_of
from secrets_app.services.caller import Caller

DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET = 100, 1000, 10_000
# An owner of more vaults than this is served by one walk through all events instead of one for each.
_MOST_WALKS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """`since` is the first instant that counts, `until` the first that does not; `before` is the id of
    the event that the last page ended at."""

    resource_id: UUID | None = None
    actor_id: UUID | None = None
    vault_id: UUID | None = None
    action: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    before: UUID | None = None

    def filtered(self) -> QuerySet[AuditEvent]:
        events = AuditEvent.objects.all()
        for column in ("resource_id", "actor_id", "vault_id", "action", "outcome"):
            value = getattr(self, column)
            if value is not None:
                events = events.filter(**{column: value})
        # An id begins with the milliseconds of its event, so a time is a range of ids.
        if self.since is not None:
            events = events.filter(id__gte=first_uuid7(self.since), created_at__gte=self.since)
        if self.until is not None:
            events = events.filter(created_at__lt=self.until)
            above = first_uuid7(self.until).int + (1 << 80)
            events = events.filter(id__lt=UUID(int=min(above, (1 << 128) - 1)))
        if self.before is not None:
            events = events.filter(id__lt=self.before)
        return events.order_by("-id")


@dataclass(frozen=True, slots=True)
class Page:
    """`after`: the id of the last event when more follow, else None."""

    events: list[AuditEvent]
    after: UUID | None


def list_events(*, caller: Caller, wanted: EventQuery) -> Page:
    """A page of the events that the caller may see."""
    return page_of(visibility_of(caller), wanted)


def page_of(sight: Visibility, wanted: EventQuery) -> Page:
    """A page of what is in sight."""
    # One more than is shown tells whether more follow.
    end = wanted.offset + wanted.limit + 1
    walks = _walks(sight, wanted.filtered())
    merged = heapq.merge(*(walk[:end] for walk in walks), key=lambda e: e.id, reverse=True)
    found = _distinct(merged, end)
    page = found[wanted.offset : end - 1]
    return Page(page, page[-1].id if len(found) == end else None)


def visible_event(*, caller: Caller, event_id: UUID) -> AuditEvent:
    """One event. Raises NotFound, also for one that the caller may not see."""
    event = AuditEvent.objects.filter(visibility_of(caller).condition(), pk=event_id).first()
    if event is None:
        raise NotFound("There is no such event.")
    return event


def _walks(sight: Visibility, events: QuerySet[AuditEvent]) -> list[QuerySet[AuditEvent]]:
    events = events.filter(sight.within())
    if sight.is_auditor:
        return [events]
    if len(sight.vault_ids) > _MOST_WALKS:
        return [events.filter(sight.condition())]
    # Each alone follows an index; joined by OR they would be collected and sorted first.
    conditions = [Q(actor_id=sight.principal_id), *(Q(vault_id=v) for v in sight.vault_ids)]
    return [events.filter(condition) for condition in conditions]


def _distinct(events: Iterator[AuditEvent], most: int) -> list[AuditEvent]:
    """The first of each id: an owner's own event in its own vault is found twice."""
    found: list[AuditEvent] = []
    for event in events:
        if not found or found[-1].id != event.id:
            found.append(event)
            if len(found) == most:
                break
    return found

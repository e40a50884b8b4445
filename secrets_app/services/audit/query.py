"""List events, newest first. Every list walks down an index and stops at the end of its page."""

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
# For an owner of more vaults than this, one walk through all events replaces one walk for each vault.
_MOST_WALKS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """What to list: filters, and the place of the page.

    `since` is inclusive, `until` exclusive. `before` is the id of the last event of the previous page.
    """

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
        """Return the events that the filters allow, newest first."""
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
    """A page of events. `after`: the id of its last event if more follow, else None."""

    events: list[AuditEvent]
    after: UUID | None


def list_events(*, caller: Caller, wanted: EventQuery) -> Page:
    """Return a page of the events that the caller may see."""
    return page_of(visibility_of(caller), wanted)


def page_of(sight: Visibility, wanted: EventQuery) -> Page:
    """Return a page of the visible events."""
    # One event more than the page holds shows whether there is a next page.
    end = wanted.offset + wanted.limit + 1
    walks = _walks(sight, wanted.filtered())
    merged = heapq.merge(*(walk[:end] for walk in walks), key=lambda e: e.id, reverse=True)
    found = _distinct(merged, end)
    page = found[wanted.offset : end - 1]
    return Page(page, page[-1].id if len(found) == end else None)


def visible_event(*, caller: Caller, event_id: UUID) -> AuditEvent:
    """Return an event. Raises NotFound if there is none or the caller may not see it."""
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
    # Each condition alone follows an index. Joined by OR, the database would collect and sort everything.
    conditions = [Q(actor_id=sight.principal_id), *(Q(vault_id=v) for v in sight.vault_ids)]
    return [events.filter(condition) for condition in conditions]


def _distinct(events: Iterator[AuditEvent], most: int) -> list[AuditEvent]:
    """Drop repeats from sorted events: an owner's own event in its own vault is found by two walks."""
    found: list[AuditEvent] = []
    for event in events:
        if not found or found[-1].id != event.id:
            found.append(event)
            if len(found) == most:
                break
    return found

"""Getting the log out: one JSON object a line, seal by seal, each seal after its events.

Whoever holds the lines and the public key can compute trees, links and signatures again. Only sealed
events are written, in the order of their seals: so what was committed late is never missed.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from secrets_app.models import AuditEvent, AuditSeal
from secrets_app.services.audit.checkpoint import checkpoint_of
from secrets_app.services.audit.content import content_of
from secrets_app.services.audit.record import SUCCESS, Resource, record
from secrets_app.services.caller import Actor

_OWN_ACTION = "audit.export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    seals: int
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """`after_seal`: begin behind this one; `since` and `until` are about the events themselves;
    `only_new`: what no export has written yet."""

    after_seal: int = 0
    since: datetime | None = None
    until: datetime | None = None
    only_new: bool = False

    def page(self, after: int) -> list[AuditSeal]:
        seals = AuditSeal.objects.filter(number__gt=max(after, self.after_seal))
        seals = seals.filter(pruned_at__isnull=True)
        if self.only_new:
            seals = seals.filter(exported_at__isnull=True)
        if self.since is not None:
            seals = seals.filter(last_at__gte=self.since)
        if self.until is not None:
            seals = seals.filter(first_at__lt=self.until)
        return list(seals.order_by("number")[:200])

    def takes(self, event: AuditEvent) -> bool:
        is_after = self.since is None or event.created_at >= self.since
        return is_after and (self.until is None or event.created_at < self.until)


def export_events(
    *, selection: Selection, write: Callable[[str], None], flush: Callable[[], None], actor: Actor
) -> Exported:
    """Write what is selected, with one call for each seal. A seal all of whose events were written is
    marked as exported, after `flush` has brought it to safety.

    Leaves an event for each 200 seals, unless all there was to write were events of exports: a shipper
    that follows the log would never come to its end.
    """
    number = seals = events = 0
    while page := selection.page(number):
        number = page[-1].number
        details = {"seals": len(page), "events": 0, "last_seal": number}
        is_news, complete = False, []
        for seal in page:
            written = _write(seal, selection, write)
            details["events"] += len(written)
            is_news = is_news or any(event.action != _OWN_ACTION for event in written)
            if len(written) == seal.events:
                complete.append(seal.number)
        flush()
        with transaction.atomic():
            if is_news:
                resource = Resource("audit_log")
                record(_OWN_ACTION, SUCCESS, actor=actor, resource=resource, details=details)
            AuditSeal.objects.filter(number__in=complete).update(exported_at=timezone.now())
        seals += len(page)
        events += details["events"]
    return Exported(seals=seals, events=events)


def _write(seal: AuditSeal, selection: Selection, write: Callable[[str], None]) -> list[AuditEvent]:
    sealed = AuditEvent.objects.filter(seal_number=seal.number).order_by("id")
    events = [event for event in sealed if selection.takes(event)]
    lines = [{"event": content_of(event)} for event in events] + [checkpoint_of(seal).shown()]
    write("".join(json.dumps(line) + "\n" for line in lines))
    return events

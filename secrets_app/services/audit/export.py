"""Export the log: one JSON object a line, seal by seal, the events before their seal.

The lines and the public key are enough to compute trees, links and signatures again. Only sealed events
are exported, in the order of their seals, so an event that was committed late is not missed.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from secrets_app.crypto.audit_key import AuditKey
from secrets_app.crypto.merkle import leaf_hash, root_of
from secrets_app.models import AuditEvent, AuditSeal
from secrets_app.services.audit.checkpoint import checkpoint_of
from secrets_app.services.audit.content import content_of, content_of_export, encode
from secrets_app.services.audit.record import SUCCESS, Resource, record
from secrets_app.services.audit.verify import signer_of
from secrets_app.services.caller import Actor
from secrets_app.services.sealing.audit_keys import opened_audit_keys

_OWN_ACTION = "audit.export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """How many seals and events were written."""

    seals: int
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which seals and events to export.

    `after_seal`: only seals with a higher number. `since` (inclusive) and `until` (exclusive): only
    events of this time. `only_new`: only seals that no export has written yet.
    """

    after_seal: int = 0
    since: datetime | None = None
    until: datetime | None = None
    only_new: bool = False

    def page(self, after: int) -> list[AuditSeal]:
        """Return up to 200 selected seals with a number above `after`."""
        seals = AuditSeal.objects.filter(number__gt=max(after, self.after_seal))
        seals = seals.filter(pruned_at__isnull=True)
        if self.only_new:
            seals = seals.filter(export_signature__isnull=True)
        if self.since is not None:
            seals = seals.filter(last_at__gte=self.since)
        if self.until is not None:
            seals = seals.filter(first_at__lt=self.until)
        return list(seals.order_by("number")[:200])

    def includes(self, event: AuditEvent) -> bool:
        """Tell whether an event is in the selected time."""
        is_after = self.since is None or event.created_at >= self.since
        return is_after and (self.until is None or event.created_at < self.until)


def export_events(
    *, selection: Selection, write: Callable[[str], None], flush: Callable[[], None], actor: Actor
) -> Exported:
    """Write the selected events and seals, with one call of `write` for each seal.

    After `flush` has made a page of 200 seals durable, the seals that were written as they were sealed
    get a signed mark, and one event is recorded. Pages that hold nothing but events of exports record
    none: a follower of the log would never reach its end. Raises ProviderError.
    """
    keys, _ = opened_audit_keys()
    number = seals = events = 0
    while page := selection.page(number):
        number = page[-1].number
        details = {"seals": len(page), "events": 0, "last_seal": number}
        is_news, complete = False, []
        for seal in page:
            written = _write(seal, selection, write)
            details["events"] += len(written)
            is_news = is_news or any(event.action != _OWN_ACTION for event in written)
            if _is_as_sealed(seal, written, keys):
                complete.append(seal)
        flush()
        with transaction.atomic():
            if is_news:
                resource = Resource("audit_log")
                record(_OWN_ACTION, SUCCESS, actor=actor, resource=resource, details=details)
            _mark(complete, keys)
        seals += len(page)
        events += details["events"]
    return Exported(seals=seals, events=events)


def _mark(seals: list[AuditSeal], keys: dict[int, AuditKey]) -> None:
    """Sign that these were exported."""
    for seal in seals:
        seal.exported_at = timezone.now()
        content = encode(content_of_export(seal))
        seal.export_signature = keys[seal.key_number].sign(content)
    AuditSeal.objects.bulk_update(seals, ["exported_at", "export_signature"])


def _is_as_sealed(seal: AuditSeal, written: list[AuditEvent], keys: dict[int, AuditKey]) -> bool:
    """Tell whether all events of a seal were written, and just those that were sealed.

    A mark for anything else would let `prune_audit` remove what no export holds.
    """
    leaves = [leaf_hash(encode(content_of(event))) for event in written]
    is_whole = len(leaves) == seal.events and root_of(leaves) == bytes(seal.root)
    return is_whole and signer_of(seal, keys) is not None


def _write(seal: AuditSeal, selection: Selection, write: Callable[[str], None]) -> list[AuditEvent]:
    sealed = AuditEvent.objects.filter(seal_number=seal.number).order_by("id")
    events = [event for event in sealed if selection.includes(event)]
    lines = [{"event": content_of(event)} for event in events] + [checkpoint_of(seal).to_dict()]
    write("".join(json.dumps(line) + "\n" for line in lines))
    return events

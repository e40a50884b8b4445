"""Read from the log which versions were written, even those whose rows are gone."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from secrets_app.crypto.audit_key import AuditKey
from secrets_app.models import AuditEvent
from secrets_app.services.audit.content import EVENT_COLUMNS, content_of, encode
from secrets_app.services.audit.record import SUCCESS
from secrets_app.sql.damaged_rows import read_each

_ACTIONS = ("secret.write", "secret.rotate")
_EVENTS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Claim:
    """What an event says: a version of a secret was stored.

    Anybody may have put the event there; `is_genuine` tells.
    """

    secret_id: UUID
    version: int
    _event: Any

    def is_genuine(self, keys: dict[int, AuditKey]) -> bool:
        """Tell whether the event has the MAC of one of the log's keys."""
        key = keys.get(self._event.key_number)
        return key is not None and key.has_mac(
            encode(content_of(self._event)), bytes(self._event.mac)
        )


def claims_of_writes(*, vault_id: UUID | None) -> Iterator[tuple[list[Claim], int]]:
    """Walk through the events of writes, of one vault or of all, by short statements.

    Yields the claims of up to 1000 events, and the number of these events. An event that cannot be read
    or names no version makes no claim; verify_audit reports it.
    """
    for action in _ACTIONS:
        after: UUID | None = UUID(int=0)
        while after is not None:
            page = _writes(vault_id).filter(action=action, pk__gt=after).order_by("pk")
            rows = page.values_list(*EVENT_COLUMNS, "mac", named=True)
            read, damaged = read_each(rows, _claim, most=_EVENTS_AT_ONCE)
            looked_at = len(read) + len(damaged)
            yield [claim for _, claim in read if claim is not None], looked_at
            after = read[-1][0].id if read and looked_at == _EVENTS_AT_ONCE else None


def count_writes(*, vault_id: UUID | None) -> int:
    """Count the events that `claims_of_writes` will look at."""
    return _writes(vault_id).count()


def _writes(vault_id: UUID | None) -> QuerySet[AuditEvent]:
    stored = AuditEvent.objects.filter(action__in=_ACTIONS, outcome=SUCCESS)
    return stored if vault_id is None else stored.filter(vault_id=vault_id)


def _claim(event: Any) -> Claim | None:
    version = event.details.get("version")
    if type(version) is not int or event.resource_id is None:
        return None
    return Claim(event.resource_id, version, event)

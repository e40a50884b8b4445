"""Record audit events in the transaction of what they record: no event, no action."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any
from uuid import UUID

from django.db import DatabaseError, transaction
from django.utils import timezone

from secrets_app.conf import app_settings
from secrets_app.errors import CryptoError
from secrets_app.metrics import denials
from secrets_app.models import AuditEvent
from secrets_app.models.ids import uuid7
from secrets_app.services.audit.content import content_of, encode
from secrets_app.services.audit.write_state import write_state
from secrets_app.services.caller import Actor
from secrets_app.services.sealing.audit_keys import current_audit_key
from secrets_app.services.transactions.group_commit import commit_events

# One JSON object a line, for collectors; switched on by AUDIT_LOG.
logger = logging.getLogger("secrets_app.audit")

SUCCESS, DENIED, FAILURE = (
    AuditEvent.Outcome.SUCCESS,
    AuditEvent.Outcome.DENIED,
    AuditEvent.Outcome.FAILURE,
)


OPERATOR = Actor(id=None, type="operator")


@dataclass(frozen=True, slots=True)
class Resource:
    """What is acted upon. `id` is None if it does not exist, or if the actor may not learn it."""

    type: str
    id: UUID | None = None
    vault_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """What happened. `details` is a JSON object without values, tokens, keys or a caller's free text."""

    action: str
    outcome: AuditEvent.Outcome
    resource: Resource
    details: dict[str, Any] = field(default_factory=dict)


def record(
    action: str,
    outcome: AuditEvent.Outcome,
    *,
    actor: Actor,
    resource: Resource,
    details: dict[str, Any] | None = None,
) -> None:
    """Insert one event. Raises as `record_all`."""
    record_all([Event(action, outcome, resource, details or {})], actor=actor)


def record_all(events: Iterable[Event], *, actor: Actor) -> None:
    """Insert events with one statement.

    Raises django.db.DatabaseError when that fails, ProviderError when the key of the MACs is not
    available. The caller must let either undo what the events record.
    """
    _write(events, actor, _insert)


def record_with(act: Callable[[Sequence[AuditEvent]], bool], event: Event, *, actor: Actor) -> bool:
    """Let `act` store an event and what it records in one statement. Returns whether it did.

    `act` takes the rows of the event and returns whether it changed anything; no transaction is needed
    around it. Raises as `record_all`.
    """
    return _write([event], actor, act)


def _write(
    events: Iterable[Event], actor: Actor, store_rows: Callable[[Sequence[AuditEvent]], bool]
) -> bool:
    try:
        rows = _rows(events, actor)
        is_stored = store_rows(rows)
    except (DatabaseError, CryptoError):
        write_state.failed()
        raise
    write_state.succeeded()
    if not is_stored:
        return False
    for row in rows:
        if row.outcome == DENIED:
            denials(row.action).inc()
    if app_settings.AUDIT_LOG:
        transaction.on_commit(lambda: _log(rows))
    return True


def _insert(rows: Sequence[AuditEvent]) -> bool:
    if rows:
        commit_events(rows)
    return True


def _rows(events: Iterable[Event], actor: Actor) -> list[AuditEvent]:
    now = timezone.now()
    address = None if actor.address is None else _normal_address(actor.address)
    door = {} if actor.door is None else {"door": actor.door}
    key_number, key = current_audit_key()
    rows = [
        AuditEvent(
            id=uuid7(now),
            created_at=now,
            action=event.action,
            outcome=event.outcome.value,
            actor_id=actor.id,
            actor_type=actor.type,
            vault_id=event.resource.vault_id,
            resource_type=event.resource.type,
            resource_id=event.resource.id,
            details=event.details | door,
            ip_address=address,
            request_id=actor.request_id,
            key_number=key_number,
        )
        for event in events
    ]
    for row in rows:
        row.mac = key.mac(encode(content_of(row)))
    return rows


@lru_cache(1024)
def _normal_address(text: str) -> str:
    """Spell an address as both databases return it, and an IPv4 address in IPv6 form as IPv4."""
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _log(events: Sequence[AuditEvent]) -> None:
    for event in events:
        logger.info("%s", encode(content_of(event)).decode())

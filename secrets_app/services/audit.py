"""Audit events. Each is inserted in the transaction of what it records: no event, no action."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.utils import timezone

from secrets_app.models import AuditEvent

SUCCESS, DENIED, FAILURE = (
    AuditEvent.Outcome.SUCCESS,
    AuditEvent.Outcome.DENIED,
    AuditEvent.Outcome.FAILURE,
)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and from where. `type`: user, agent, anonymous or operator (a shell on the server)."""

    id: UUID | None
    type: str
    address: str | None = None
    request_id: UUID | None = None


OPERATOR = Actor(id=None, type="operator")


@dataclass(frozen=True, slots=True)
class Resource:
    """What is acted upon. The id is None where it does not exist or the actor may not know it."""

    type: str
    id: UUID | None = None
    vault_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """`details` is a JSON object without values, tokens, keys or anything else a caller sent freely."""

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
    """Insert one event; raises django.db.DatabaseError when it cannot be written."""
    record_all([Event(action, outcome, resource, details or {})], actor=actor)


def record_all(events: Iterable[Event], *, actor: Actor) -> None:
    """Insert events with one statement; raises django.db.DatabaseError when that fails."""
    now = timezone.now()
    AuditEvent.objects.bulk_create(
        AuditEvent(
            created_at=now,
            action=event.action,
            outcome=event.outcome,
            actor_id=actor.id,
            actor_type=actor.type,
            vault_id=event.resource.vault_id,
            resource_type=event.resource.type,
            resource_id=event.resource.id,
            details=event.details,
            ip_address=actor.address,
            request_id=actor.request_id,
        )
        for event in events
    )

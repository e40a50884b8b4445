"""Audit events. Each is inserted in the transaction of what it records: no event, no action."""

from dataclasses import dataclass
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


def record(
    action: str,
    outcome: AuditEvent.Outcome,
    *,
    actor: Actor,
    resource: Resource,
    details: dict[str, Any] | None = None,
) -> None:
    """Insert one event; raises django.db.DatabaseError when it cannot be written.

    `details` is a JSON object without values, tokens, keys or anything else a caller sent freely.
    """
    AuditEvent.objects.create(
        created_at=timezone.now(),
        action=action,
        outcome=outcome,
        actor_id=actor.id,
        actor_type=actor.type,
        vault_id=resource.vault_id,
        resource_type=resource.type,
        resource_id=resource.id,
        details=details or {},
        ip_address=actor.address,
        request_id=actor.request_id,
    )

"""Define the bytes that MACs, Merkle trees and signatures cover: sorted, compact, ASCII-only JSON.

Exports, logs and proofs show the same text, so that anybody can compute the proofs again.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from secrets_app.models import AuditEvent, AuditSeal

SCHEME = "vaultsite-audit-v1"
NOTHING_BEFORE = bytes(32)

# The columns that `content_of` reads. A named row of just these is enough, and is made faster.
EVENT_COLUMNS = (
    "id",
    "created_at",
    "action",
    "outcome",
    "actor_id",
    "actor_type",
    "vault_id",
    "resource_type",
    "resource_id",
    "details",
    "ip_address",
    "request_id",
    "key_number",
)


_to_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode


def encode(content: dict[str, Any]) -> bytes:
    """Return the canonical bytes of a content."""
    return _to_json(content).encode()


def content_of(event: AuditEvent | Any) -> dict[str, Any]:
    """Return everything that an event says, without its MAC and seal.

    Takes an event or a named row of EVENT_COLUMNS.
    """
    return {
        "scheme": SCHEME,
        "key": event.key_number,
        "id": str(event.id),
        "created_at": instant(event.created_at),
        "action": event.action,
        "outcome": str(event.outcome),
        "actor_id": _id(event.actor_id),
        "actor_type": event.actor_type,
        "vault_id": _id(event.vault_id),
        "resource_type": event.resource_type,
        "resource_id": _id(event.resource_id),
        "details": event.details,
        "ip_address": event.ip_address,
        "request_id": _id(event.request_id),
    }


def content_of_seal(seal: AuditSeal) -> dict[str, Any]:
    """Return everything that a seal says, without its signature and the fate of its events."""
    return {
        "scheme": SCHEME,
        "key": seal.key_number,
        "number": seal.number,
        "previous": bytes(seal.previous).hex(),
        "root": bytes(seal.root).hex(),
        "events": seal.events,
        "total": seal.total,
        "first_at": instant(seal.first_at),
        "last_at": instant(seal.last_at),
        "sealed_at": instant(seal.sealed_at),
    }


def content_of_export(seal: AuditSeal) -> dict[str, Any]:
    """Return what is signed when the events of a seal are exported."""
    return _fate(seal, "exported", seal.exported_at)


def content_of_pruning(seal: AuditSeal) -> dict[str, Any]:
    """Return what is signed when the events of a seal are removed."""
    return _fate(seal, "pruned", seal.pruned_at)


def _fate(seal: AuditSeal, what: str, at: datetime | None) -> dict[str, Any]:
    return {
        "scheme": f"{SCHEME}/{what}",
        "seal": seal_hash(seal).hex(),
        f"{what}_at": None if at is None else instant(at),
    }


def seal_hash(seal: AuditSeal) -> bytes:
    """Return the SHA-256 of a seal's content, which the next seal refers to."""
    return hashlib.sha256(encode(content_of_seal(seal))).digest()


def instant(at: datetime) -> str:
    """Spell a time in UTC with microseconds and `Z`; both databases keep microseconds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _id(value: UUID | None) -> str | None:
    return None if value is None else str(value)

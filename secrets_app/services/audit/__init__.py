"""The audit log: `record` writes it, `content` says what it vouches for, the others make, check and show
its proofs. What every service needs is named here."""

from secrets_app.services.audit.checkpoint import (
    Checkpoint,
    CheckpointError,
    latest_checkpoint,
    read_checkpoint,
)
from secrets_app.services.audit.export import Exported, Selection, export_events
from secrets_app.services.audit.failures import record_failure
from secrets_app.services.audit.find import find_events, name_of, named
from secrets_app.services.audit.health import audit_health, seal_lag
from secrets_app.services.audit.proof import prove_event
from secrets_app.services.audit.prune import Pruned, count_prunable, prune_events
from secrets_app.services.audit.query import MAX_OFFSET, EventQuery, list_events
from secrets_app.services.audit.record import (
    DENIED,
    FAILURE,
    OPERATOR,
    SUCCESS,
    Event,
    Resource,
    record,
    record_all,
    record_with,
)
from secrets_app.services.audit.report import verify_for
from secrets_app.services.audit.seal import seal_events
from secrets_app.services.audit.verify import (
    Report,
    count_checkable,
    note_verification,
    verify_audit,
)

__all__ = [
    "DENIED",
    "FAILURE",
    "MAX_OFFSET",
    "OPERATOR",
    "SUCCESS",
    "Checkpoint",
    "CheckpointError",
    "Event",
    "EventQuery",
    "Exported",
    "Pruned",
    "Report",
    "Resource",
    "Selection",
    "audit_health",
    "count_checkable",
    "count_prunable",
    "export_events",
    "find_events",
    "latest_checkpoint",
    "list_events",
    "name_of",
    "named",
    "note_verification",
    "prove_event",
    "prune_events",
    "read_checkpoint",
    "record",
    "record_all",
    "record_failure",
    "record_with",
    "seal_events",
    "seal_lag",
    "verify_audit",
    "verify_for",
]

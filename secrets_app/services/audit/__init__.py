"""Record audit events, seal them, and let others check that the log is complete.

`record` writes events, `content` says what a MAC or a signature covers, and the other modules make,
check and show the proofs. The functions that other domains and the doors use are named here.
"""

from secrets_app.services.audit.checkpoint import (
    Checkpoint,
    CheckpointError,
    latest_checkpoint,
    read_checkpoint,
)
from secrets_app.services.audit.export import Exported, Selection, export_events
from secrets_app.services.audit.failures import record_failure
from secrets_app.services.audit.find import find_events, name_of, rows_by_id
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
from secrets_app.services.audit.report import verify_on_request
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
    "note_verification",
    "prove_event",
    "prune_events",
    "read_checkpoint",
    "record",
    "record_all",
    "record_failure",
    "record_with",
    "rows_by_id",
    "seal_events",
    "seal_lag",
    "verify_audit",
    "verify_on_request",
]

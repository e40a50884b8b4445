"""The audit log: `record` writes it, `content` says what it vouches for, the others make, check and show
its proofs. What every service needs is named here."""

from secrets_app.services.audit.record import (
    DENIED,
    FAILURE,
    OPERATOR,
    SUCCESS,
    Actor,
    Event,
    Resource,
    record,
    record_all,
    record_with,
)

__all__ = [
    "DENIED",
    "FAILURE",
    "OPERATOR",
    "SUCCESS",
    "Actor",
    "Event",
    "Resource",
    "record",
    "record_all",
    "record_with",
]

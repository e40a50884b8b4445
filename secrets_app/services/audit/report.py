"""Verifying the log for somebody who asks over HTTP: it must not become a way to wear a server out."""

from datetime import datetime
from threading import Lock

from secrets_app.errors import Forbidden, TooManyRequests
from secrets_app.services.audit.checkpoint import Checkpoint, latest_checkpoint
from secrets_app.services.audit.verify import Range, Report, count_checkable, verify_audit
from secrets_app.services.audit.visibility import visibility_of
from secrets_app.services.caller import Caller

# A few seconds' work.
MOST_FOR_ANYBODY = 100_000
_RETRY_AFTER_S = 10

_running = Lock()


def verify_for(
    *, caller: Caller, since: datetime | None, until: datetime | None
) -> tuple[Report, Checkpoint | None]:
    """What the log is like, and its newest seal.

    Raises Forbidden for a long log and a caller who is no auditor, TooManyRequests while another
    verification runs in this process, ProviderError.
    """
    if not visibility_of(caller).is_auditor and count_checkable() > MOST_FOR_ANYBODY:
        raise Forbidden("The log is long. Verifying it is for auditors.")
    if not _running.acquire(blocking=False):
        raise TooManyRequests(_RETRY_AFTER_S)
    try:
        report = verify_audit(within=Range(since, until))
    finally:
        _running.release()
    return report, latest_checkpoint()

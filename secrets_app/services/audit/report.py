"""Verify the log on request over HTTP, with limits so that this cannot exhaust the server."""

from datetime import datetime
from threading import Lock

from secrets_app.errors import Forbidden, TooManyRequests
from secrets_app.services.audit.checkpoint import Checkpoint, latest_checkpoint
from secrets_app.services.audit.verify import Report, TimeRange, count_checkable, verify_audit
from secrets_app.services.audit.visibility import visibility_of
from secrets_app.services.caller import Caller

# Verifying as many takes a few seconds.
MOST_FOR_NON_AUDITORS = 100_000
_RETRY_AFTER_S = 10

_running = Lock()


def verify_on_request(
    *, caller: Caller, since: datetime | None, until: datetime | None
) -> tuple[Report, Checkpoint | None]:
    """Verify the log and return the report and the checkpoint of the newest seal.

    Raises Forbidden when the log is long and the caller is no auditor, TooManyRequests while another
    verification runs in this process, ProviderError.
    """
    if not visibility_of(caller).is_auditor and count_checkable() > MOST_FOR_NON_AUDITORS:
        raise Forbidden("The log is long. Verifying it is for auditors.")
    if not _running.acquire(blocking=False):
        raise TooManyRequests(_RETRY_AFTER_S)
    try:
        report = verify_audit(within=TimeRange(since, until))
    finally:
        _running.release()
    return report, latest_checkpoint()

"""What every door does with an exception that is not the caller's fault."""

import logging
import traceback
from uuid import UUID

from django.db import DatabaseError, InterfaceError, InternalError, OperationalError

from secrets_app import errors

logger = logging.getLogger("secrets_app.api")

RETRY_AFTER_S = 5
# What may pass by itself: the caller is told to come back. An InternalError is the database's own: of a
# server that was the leader of its cluster a moment ago, or is about to be.
PASSING = (
    errors.ProviderUnavailable,
    errors.IssuerUnavailable,
    OperationalError,
    InterfaceError,
    InternalError,
)


def log_failure(exc: Exception, request_id: UUID | None) -> None:
    """Log class and frames: messages of databases and libraries may hold what was sent to them, and only
    those of our own errors never do."""
    what = type(exc).__qualname__
    if isinstance(exc, DatabaseError):
        what += f" {getattr(exc.__cause__, 'sqlstate', None) or ''}".rstrip()
    if isinstance(exc, errors.SecretsAppError):
        what += f": {exc.detail}"
    if not isinstance(exc, (errors.ProviderError, errors.OutboundError)):  # those say it all
        what += "\n" + "".join(traceback.format_tb(exc.__traceback__))
    extra = {"request_id": None if request_id is None else str(request_id)}
    logger.error("request %s failed with %s", request_id, what, extra=extra)

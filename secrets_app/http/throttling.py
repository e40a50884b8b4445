"""Rate limits, checked before a body is read. Counting is a maintained library's (`limits`)."""

import logging
import math
import time
from functools import lru_cache
from uuid import UUID

from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter

from secrets_app.conf import app_settings
from secrets_app.errors import TooManyRequests
from secrets_app.http.counting import InProcess

logger = logging.getLogger("secrets_app.api")

# A code is looked at, then approved; a few slips are allowed for.
CODES_OF_A_PERSON = "20/10 minutes"
CODES_FROM_AN_ADDRESS = "100/10 minutes"


def count_request(rate: str, *who: str) -> None:
    """Count one request. Raises TooManyRequests when `who` has had as many as `rate` allows."""
    if not rate:
        return
    limiter, limit = _limiter(app_settings.RATE_LIMIT_STORAGE), _parse(rate)
    try:
        if limiter.hit(limit, *who):
            return
        resets_at = limiter.get_window_stats(limit, *who).reset_time
    except StorageError as error:
        # A rate is a courtesy among callers; without its counter the service goes on.
        logger.warning("requests cannot be counted: %s", type(error.storage_error).__name__)
        return
    raise TooManyRequests(math.ceil(resets_at - time.time()))


def count_code_attempt(principal_id: UUID, address: str | None) -> None:
    """Count one look at the code of a device, right or wrong, so that nobody tries many.

    Raises TooManyRequests.
    """
    count_request(CODES_OF_A_PERSON, "device-code", str(principal_id))
    count_request(CODES_FROM_AN_ADDRESS, "device-code-from", address or "none")


@lru_cache(maxsize=4)
def _limiter(storage: str) -> FixedWindowRateLimiter:
    if storage == "memory://":
        return FixedWindowRateLimiter(InProcess())
    return FixedWindowRateLimiter(storage_from_string(storage, wrap_exceptions=True))


@lru_cache(maxsize=16)
def _parse(rate: str) -> RateLimitItem:
    return parse(rate)

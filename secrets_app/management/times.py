"""Parse times on command lines."""

from datetime import UTC, datetime

from django.core.management.base import CommandError


def instant(text: str) -> datetime:
    """Parse an ISO 8601 date or date-time, in UTC unless it has an offset. Raises CommandError."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(
            "A time is a date, or a date and time such as 2026-01-31T12:00Z."
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)

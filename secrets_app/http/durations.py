"""Times as Go writes them: `1h30m`. Clients of other secrets managers send them so."""

import re
from datetime import timedelta

from secrets_app.errors import InvalidInput

_UNITS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|[dhms])"
_DURATION = re.compile(rf"(?:{_PART})+")
_SECONDS = re.compile(r"[0-9]{1,10}")


def parse_duration(text: str, *, field: str) -> int:
    """Return whole seconds, rounded down; a bare number is one of seconds. Raises InvalidInput."""
    if _SECONDS.fullmatch(text):
        return int(text)
    if len(text) > 64 or _DURATION.fullmatch(text) is None:
        raise InvalidInput({field: ["This is a time such as 1h30m, 90s or 90."]})
    return int(sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PART, text)))


def show_duration(seconds: int) -> str:
    """Spell it as Go does: `0s`, `1m30s`, `1h30m0s`."""
    minutes, rest = divmod(int(timedelta(seconds=seconds).total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"

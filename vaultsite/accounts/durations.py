"""Parse lengths of time on command lines."""

import re
from argparse import ArgumentTypeError
from datetime import timedelta

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def duration(text: str) -> timedelta:
    """Parse `30m`, `1h` or `7d`. Raises argparse.ArgumentTypeError."""
    found = re.fullmatch(r"([1-9][0-9]{0,3})([mhd])", text)
    if found is None:
        raise ArgumentTypeError("a length of time is a number and m, h or d, such as 30m or 7d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})

"""Match path patterns (wire contract, part B): `*` is one segment, `**` any number, also none."""

import re
from collections.abc import Sequence

from secrets_app.errors import InvalidPattern
from secrets_app.policy.path import MAX_PATH_CHARS, SEGMENT

_PATTERN_SEGMENT = rf"(?:{SEGMENT}|\*\*?)"
PATTERN_REGEX = rf"{_PATTERN_SEGMENT}(?:/{_PATTERN_SEGMENT})*"

_PATTERN = re.compile(PATTERN_REGEX)


def parse_pattern(raw: str) -> str:
    """Return `raw` if it is a valid pattern. Raises InvalidPattern."""
    if len(raw) > MAX_PATH_CHARS or _PATTERN.fullmatch(raw) is None:
        raise InvalidPattern
    return raw


def matches(pattern: str, path: str) -> bool:
    """Tell whether a valid `pattern` covers a valid `path`.

    It compares whole segments. On a mismatch only the latest `**` is extended, since extending an
    earlier one gains nothing; so the time is at most proportional to the product of both lengths.
    """
    return _match_segments(pattern.split("/"), path.split("/"))


def _match_segments(pattern: Sequence[str], path: Sequence[str]) -> bool:
    p = s = 0
    star = star_s = -1
    while s < len(path):
        if p < len(pattern) and pattern[p] == "**":
            star, star_s = p, s
            p += 1
        elif p < len(pattern) and pattern[p] in ("*", path[s]):
            p += 1
            s += 1
        elif star >= 0:
            star_s += 1
            p, s = star + 1, star_s
        else:
            return False
    return all(segment == "**" for segment in pattern[p:])

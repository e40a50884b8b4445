"""Match path patterns (wire contract, part B): `*` is one segment, `**` any number, also none."""

import re
from collections.abc import Sequence
from itertools import pairwise

from secrets_app.errors import InvalidPattern
from secrets_app.policy.path import MAX_PATH_CHARS, SEGMENT

_PATTERN_SEGMENT = rf"(?:{SEGMENT}|\*\*?)"
PATTERN_REGEX = rf"{_PATTERN_SEGMENT}(?:/{_PATTERN_SEGMENT})*"

_PATTERN = re.compile(PATTERN_REGEX)
_TWICE = ("**", "**")
_SEGMENT_REGEX = {"*": "[^/]+/", "**": "(?:[^/]+/)*"}


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


def as_regex(pattern: str) -> tuple[str, bool] | None:
    """A regular expression for the paths that a pattern covers, without anchors, and whether it covers no
    more than those; None for a pattern that is not valid.

    It is there for databases to leave rows out, and never decides. One `**` inside a pattern is followed
    exactly; what stands behind a second one is dropped, so that engines that backtrack have little to try.
    """
    if len(pattern) > MAX_PATH_CHARS or _PATTERN.fullmatch(pattern) is None:
        return None
    segments = [
        s for s, following in pairwise([*pattern.split("/"), ""]) if (s, following) != _TWICE
    ]
    gaps = [n for n, segment in enumerate(segments[:-1]) if segment == "**"]
    is_exact = len(gaps) < 2
    if not is_exact:
        segments = segments[: gaps[1] + 1]
    is_open = segments[-1] == "**"
    if is_open:
        segments.pop()
    if not segments:
        return ".*", is_exact
    text = "".join(_SEGMENT_REGEX.get(each, each + "/") for each in segments)
    return text.removesuffix("/") + ("(?:/.*)?" if is_open else ""), is_exact


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

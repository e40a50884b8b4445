"""Match path patterns (wire contract, part B): `*` is one segment, `**` any number, also none."""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

from secrets_app.errors import InvalidPattern
from secrets_app.policy.path import MAX_PATH_CHARS, SEGMENT

# Of new patterns. Stored ones may be longer, and are judged all the same.
MAX_SEGMENTS = 32

_PATTERN_SEGMENT = rf"(?:{SEGMENT}|\*\*?)"
PATTERN_REGEX = rf"{_PATTERN_SEGMENT}(?:/{_PATTERN_SEGMENT})*"

_PATTERN = re.compile(PATTERN_REGEX)
_TWICE = ("**", "**")
GAP_REGEX = "(?:[^/]+/)*"
_SEGMENT_REGEX = {"*": "[^/]+/", "**": GAP_REGEX}
_MOST_BEHIND_A_GAP = 8
_MOST_MASKS = 256
_MOST_CACHED_CHARS = 2048


def parse_pattern(raw: str) -> str:
    """Return `raw` if it is a valid new pattern. Raises InvalidPattern."""
    if (
        len(raw) > MAX_PATH_CHARS
        or raw.count("/") >= MAX_SEGMENTS
        or _PATTERN.fullmatch(raw) is None
    ):
        raise InvalidPattern(MAX_SEGMENTS)
    return raw


def matches(pattern: str, path: str) -> bool:
    """Tell whether a valid `pattern` covers a valid `path`, segment by segment."""
    return patterns_of((pattern,)).match_any(path)


class Patterns:
    """Match many patterns against a path together, in one pass over its segments.

    This is the Shift-And algorithm (Baeza-Yates and Gonnet 1992) on segments. Each pattern has a bit for
    each number of its segments that can be matched so far; a segment of the path moves bits on by one,
    and at a `**` they also stay. The time is proportional to the segments of the path times the machine
    words of all bits, whatever the patterns are: nothing is tried twice.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        # Where each pattern ends, in their order, and where each literal segment stands.
        self._end_of: list[int] = []
        self._places: dict[str, list[int]] = {}
        self._masks: dict[str, int] = {}
        starts: list[int] = []
        stays: list[int] = []
        wild: list[int] = []
        bit = 0
        for pattern in patterns:
            starts.append(bit)
            for segment in pattern.split("/"):
                if segment == "**":
                    stays.append(bit)
                    continue
                if segment == "*":
                    wild.append(bit)
                else:
                    self._places.setdefault(segment, []).append(bit)
                bit += 1
            self._end_of.append(bit)
            bit += 1
        self._bytes = bit // 8 + 1
        self._starts = self._bits(starts)
        self._stays = self._bits(stays)
        self._any = self._bits(wild)
        self._ends = self._bits(self._end_of)

    def match_any(self, path: str) -> bool:
        """Tell whether one of the patterns covers a valid path."""
        return self._matched(path) != 0

    def which(self, path: str) -> list[int]:
        """Return the numbers of the patterns that cover a valid path, from 0, in order."""
        matched = self._matched(path)
        if not matched:
            return []
        # Bits are looked up in bytes, since shifting a long number takes time by its length.
        found = matched.to_bytes(self._bytes, "little")
        return [n for n, end in enumerate(self._end_of) if found[end >> 3] >> (end & 7) & 1]

    def _matched(self, path: str) -> int:
        state, stays = self._starts, self._stays
        for segment in path.split("/"):
            state = (state & self._mask(segment)) << 1 | state & stays
            if not state:
                return 0
        return state & self._ends

    def _mask(self, segment: str) -> int:
        """The bits that a segment moves on. An end is never among them, so patterns stay apart."""
        mask = self._masks.get(segment)
        if mask is not None:
            return mask
        places = self._places.get(segment)
        if places is None:
            return self._any
        if len(self._masks) >= _MOST_MASKS:
            self._masks.clear()
        mask = self._masks[segment] = self._any | self._bits(places)
        return mask

    def _bits(self, places: Iterable[int]) -> int:
        bits = bytearray(self._bytes)
        for place in places:
            bits[place >> 3] |= 1 << (place & 7)
        return int.from_bytes(bits, "little")


def patterns_of(patterns: tuple[str, ...]) -> Patterns:
    """Return the patterns compiled, from a cache unless they are long together."""
    if sum(map(len, patterns)) <= _MOST_CACHED_CHARS:
        return _cached(patterns)
    return Patterns(patterns)


# What has changed is another key.
_cached = lru_cache(maxsize=256)(Patterns)


def as_regex(pattern: str) -> tuple[str, bool] | None:
    """Return a regular expression for the paths that a pattern covers, without anchors, and whether it
    covers no more than those; None for a pattern that is not valid.

    It is there for databases to leave rows out, and never decides. Engines that backtrack try what stands
    behind a `**` at each segment of a path. So one `**` inside a pattern is followed exactly if few
    segments stand behind it, otherwise by the last of them; what stands behind a second one is dropped.
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
    if gaps and len(segments) - gaps[0] - 1 > _MOST_BEHIND_A_GAP:
        is_exact = False
        segments = segments[: gaps[0] + 1] + segments[-_MOST_BEHIND_A_GAP:]
    text = "".join(_SEGMENT_REGEX.get(each, each + "/") for each in segments)
    return text.removesuffix("/") + ("(?:/.*)?" if is_open else ""), is_exact

"""What one caller may do with many paths of a vault: the same rules as `decide`, asked many times.

Everything that does not depend on the path (permission, expiry, conditions) is judged once. What
remains are patterns, and from the allowing ones follows where in the order of paths to look at all.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from secrets_app.policy.decision import Effect, Permission, Rule, holds
from secrets_app.policy.pattern import GAP_REGEX, Patterns, as_regex, patterns_of

# Sorts after every character a path can have.
_AFTER = "\x7f"
# … and before every one (NUL would do too, but PostgreSQL does not take it).
_NEXT = "\x01"
_MAX_SIEVE_CHARS = 4096
# Each of them is tried at every segment of a path, by engines that backtrack.
_MOST_GAPS = 8


@dataclass(frozen=True, slots=True)
class PathRange:
    """Paths from `first` (inclusive) to `end` (exclusive), compared by their bytes."""

    first: str
    end: str


@dataclass(frozen=True, slots=True)
class Sieve:
    """Regular expressions, both for PostgreSQL and for Python. Everything covered matches `keep` and does
    not match `drop`; None says nothing. It never decides: what is left is judged by `covers`."""

    keep: str | None
    drop: str | None


@dataclass(frozen=True, slots=True)
class Scope:
    """`None` as `allows` means the vault's owner: everything, whatever `denies` says."""

    allows: tuple[str, ...] | None
    denies: tuple[str, ...]
    _allowing: Patterns = field(init=False, repr=False, compare=False)
    _denying: Patterns = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_allowing", patterns_of(self.allows or ()))
        object.__setattr__(self, "_denying", patterns_of(self.denies))

    def covers(self, path: str) -> bool:
        """Tell whether `decide` would allow this valid path."""
        if self.allows is None:
            return True
        return self._allowing.match_any(path) and not self._denying.match_any(path)

    def sieve(self) -> Sieve:
        """Return what a database may leave out on the way: rows that are certainly not covered."""
        if self.allows is None:
            return Sieve(None, None)
        allows = [as_regex(pattern) for pattern in self.allows]
        denies = [as_regex(pattern) for pattern in self.denies]
        kept = dict.fromkeys(each[0] for each in allows if each is not None)
        dropped = dict.fromkeys(each[0] for each in denies if each is not None and each[1])
        is_whole = all(each is not None for each in allows) and len(_gaps(kept)) <= _MOST_GAPS
        for text in _gaps(dropped)[_MOST_GAPS:]:
            del dropped[text]
        return Sieve(_any_of(kept) if is_whole else None, _any_of(dropped))

    def ranges(self, prefix: str) -> list[PathRange]:
        """Return ranges outside of which nothing is covered, sorted, apart from each other, in `prefix`."""
        whole = PathRange(prefix, prefix + _AFTER)
        if self.allows is None:
            return [whole]
        found = sorted(
            (r for pattern in self.allows for r in _ranges_of(pattern)),
            key=lambda r: (r.first, r.end),
        )
        merged: list[PathRange] = []
        for each in found:
            first, end = max(each.first, whole.first), min(each.end, whole.end)
            if first >= end:
                continue
            if merged and first <= merged[-1].end:
                merged[-1] = PathRange(merged[-1].first, max(merged[-1].end, end))
            else:
                merged.append(PathRange(first, end))
        return merged


def scope_of(
    *,
    is_owner: bool,
    rules: Iterable[Rule],
    permission: Permission,
    address: str | None,
    now: datetime,
) -> Scope:
    """Judge all that does not depend on the path."""
    if is_owner:
        return Scope(None, ())
    held = [r for r in rules if holds(r, permission=permission, address=address, now=now)]
    return Scope(
        allows=tuple(rule.pattern for rule in held if rule.effect == Effect.ALLOW),
        denies=tuple(rule.pattern for rule in held if rule.effect != Effect.ALLOW),
    )


def _gaps(expressions: Iterable[str]) -> list[str]:
    return [each for each in expressions if GAP_REGEX in each]


def _any_of(expressions: Iterable[str]) -> str | None:
    """None also when it would be so long that a database takes more time to read it than to do without."""
    text = "|".join(expressions)
    return rf"\A(?:{text})\Z" if 0 < len(text) <= _MAX_SIEVE_CHARS else None


def _ranges_of(pattern: str) -> list[PathRange]:
    """One or two ranges that hold everything the pattern matches."""
    segments = pattern.split("/")
    wild = next((n for n, segment in enumerate(segments) if segment.startswith("*")), None)
    if wild is None:
        return [PathRange(pattern, pattern + _NEXT)]
    literal = "/".join(segments[:wild])
    if not literal:
        return [PathRange("", _AFTER)]
    below = PathRange(literal + "/", literal + "/" + _AFTER)
    # `a/**` covers `a` as well, and between `a` and `a/` sorts `a-b`, which it does not cover.
    return [PathRange(literal, literal + _NEXT), below]

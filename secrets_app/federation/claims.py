"""What the claims of a token must be: exact, or with `*` for what is within one part.

Parts are separated by `/` and `:`. A `*` stands for one character or more, none of them a separator, and
once in a part. Nothing is folded or normalised: characters are compared as they are.
"""

import re
from collections.abc import Mapping
from typing import Any

MOST_CLAIMS = 20
MAX_NAME_CHARS, MAX_PATTERN_CHARS = 128, 512
_SEPARATOR = re.compile("([/:])")

GITHUB = "https://token.actions.githubusercontent.com"
GITLAB = "https://gitlab.com"
GOOGLE = "https://accounts.google.com"
# Issuers that give tokens to everybody: which claims say whose a token is, and how many of their first
# parts must be exact so that it is not everybody's.
_SHARED: Mapping[str, Mapping[str, int]] = {
    GITHUB: {
        "sub": 2,  # repo:acme/…
        "repository": 1,
        "repository_id": 1,
        "repository_owner": 1,
        "repository_owner_id": 1,
        "enterprise": 1,
        "enterprise_id": 1,
    },
    GITLAB: {
        "sub": 2,  # project_path:acme/…
        "project_path": 1,
        "project_id": 1,
        "namespace_path": 1,
        "namespace_id": 1,
    },
    GOOGLE: {"sub": 1},
}
# What `sub` begins with where its second part says whose it is. At GitHub a repository chooses what its
# own begins with.
_BEGINS: Mapping[str, tuple[str, ...]] = {
    GITHUB: ("repo", "repository", "repository_id", "repository_owner", "repository_owner_id"),
    GITLAB: ("project_path",),
}
# Elsewhere `sub` is the one claim that says who somebody is (RFC 7519, 4.1.2).
_OTHERS: Mapping[str, int] = {"sub": 0}


def fits(pattern: str, value: Any) -> bool:
    """Whether a claim is what a valid pattern says. What is no text fits nothing."""
    if not isinstance(value, str):
        return False
    wanted, given = _SEPARATOR.split(pattern), _SEPARATOR.split(value)
    return len(wanted) == len(given) and all(map(_part_fits, wanted, given))


def all_fit(patterns: Mapping[str, str], claims: Mapping[str, Any]) -> bool:
    """Whether each claim that is named is there and fits."""
    return all(fits(pattern, claims.get(name)) for name, pattern in patterns.items())


def problems_of(issuer: str, patterns: Mapping[str, str]) -> list[str]:
    """What is wrong with the patterns of an identity; nothing where they may stand."""
    problems = [
        "A pattern is not empty, and has one `*` at most in each part."
        for pattern in patterns.values()
        if not _is_valid(pattern)
    ]
    rule = _SHARED.get(issuer, _OTHERS)
    if not any(_is_anchor(issuer, name, patterns[name]) for name in rule if name in patterns):
        problems.append(
            f"Name a claim that the issuer does not let its users choose: {', '.join(rule)}. Its first"
            " part (of `sub` at GitHub and GitLab: two) has to be exact, or tokens of others would do."
            if issuer in _SHARED
            else "Name `sub`, with at least one part that is exact: other claims may be a user's choice."
        )
    return list(dict.fromkeys(problems))


def _is_valid(pattern: str) -> bool:
    # An empty part may stand between separators, as in `spiffe://`, but no pattern is empty.
    return bool(pattern) and all(part.count("*") <= 1 for part in _parts(pattern))


def _is_anchor(issuer: str, name: str, pattern: str) -> bool:
    """Whether a pattern leaves out whom the issuer gives tokens to besides."""
    parts = _parts(pattern)
    exact = _SHARED.get(issuer, _OTHERS)[name]
    if name == "sub" and issuer in _BEGINS and parts[0] not in _BEGINS[issuer]:
        return False
    is_exact = ["*" not in part and bool(part) for part in parts]
    return len(parts) >= exact and all(is_exact[:exact]) and any(is_exact)


def _parts(pattern: str) -> list[str]:
    """The parts without their separators."""
    return _SEPARATOR.split(pattern)[::2]


def _part_fits(wanted: str, given: str) -> bool:
    before, star, after = wanted.partition("*")
    if not star:
        return wanted == given
    return (
        len(given) > len(before) + len(after) and given.startswith(before) and given.endswith(after)
    )

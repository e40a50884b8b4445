"""Read the request headers that change what is done: preconditions (RFC 9110, 13.1) and Idempotency-Key.
Name the headers that many answers have."""

import json
import re
from collections.abc import Callable, Iterable

from rest_framework.request import Request

from secrets_app.errors import InvalidInput
from secrets_app.services.secrets import Precondition

# An answer of the API is data: no browser has anything to load, run or frame for it.
CONTENT_SECURITY_POLICY = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
# An answer with a secret in it.
NO_STORE = {"Cache-Control": "no-store"}

_TAG = re.compile(r'\s*(W/)?"([!#-~\x80-\xff]*)"\s*')
_MAX_KEY_CHARS = 255


def write_precondition(request: Request) -> Precondition:
    """Read the precondition of a write from If-Match and If-None-Match. Raises InvalidInput.

    If-Match compares strongly, so a weak tag never fits. Of If-None-Match, a write accepts only `*`.
    """
    match, none_match = request.META.get("HTTP_IF_MATCH"), request.META.get("HTTP_IF_NONE_MATCH")
    if none_match is not None and none_match.strip() != "*":
        raise InvalidInput({"If-None-Match": ["On a write this header is `*` or left out."]})
    versions, must_exist = None, False
    if match is not None:
        must_exist = True
        if match.strip() != "*":
            tags = _parse_tags(match, "If-Match")
            versions = frozenset(_versions(tag for weak, tag in tags if not weak))
    return Precondition(versions, must_exist, must_not_exist=none_match is not None)


def known_versions(request: Request) -> Callable[[int], bool]:
    """Return a test for versions that the reader has, by If-None-Match (weak comparison).

    Raises InvalidInput.
    """
    header = request.META.get("HTTP_IF_NONE_MATCH")
    if header is None:
        return lambda _: False
    if header.strip() == "*":
        return lambda _: True
    return _versions(tag for _, tag in _parse_tags(header, "If-None-Match")).__contains__


def parse_idempotency_key(raw: str) -> str:
    """Return `raw` if it is 1 to 255 visible ASCII characters. Raises InvalidInput."""
    if not 0 < len(raw) <= _MAX_KEY_CHARS or not all("!" <= character <= "~" for character in raw):
        raise InvalidInput({"Idempotency-Key": ["A key has 1 to 255 visible ASCII characters."]})
    return raw


def canonical_request(request: Request) -> bytes:
    """Return the bytes that identify a request: method, path, query, preconditions and parsed body."""
    parts = [
        request.method,
        request.get_full_path(),
        request.META.get("HTTP_IF_MATCH"),
        request.META.get("HTTP_IF_NONE_MATCH"),
        request.data,
    ]
    return json.dumps(parts, sort_keys=True).encode()


def _parse_tags(header: str, name: str) -> list[tuple[bool, str]]:
    tags = []
    position = 0
    while True:
        found = _TAG.match(header, position)
        if found is None:
            raise InvalidInput({name: ['This is a list of entity tags such as "3", or `*`.']})
        tags.append((found.group(1) is not None, found.group(2)))
        position = found.end()
        if position == len(header):
            return tags
        if header[position] != ",":
            raise InvalidInput({name: ['This is a list of entity tags such as "3", or `*`.']})
        position += 1


def _versions(tags: Iterable[str]) -> set[int]:
    """Return the tags that are version numbers. Any other tag belongs to no version."""
    return {int(tag) for tag in tags if re.fullmatch(r"[1-9][0-9]{0,9}", tag)}

"""Request bodies: read up to a bound, and as JSON that means the same to every reader."""

import re
from collections.abc import Mapping
from typing import Any

from secrets_app import strict_json
from secrets_app.conf import app_settings
from secrets_app.errors import InvalidInput, TooLarge

__all__ = ["max_body_bytes", "parse_json", "read_body"]

# JSON may spell one byte of a value in six (`\\u0041`); the rest of a body is small.
_ESCAPE_FACTOR = 6
_REST_BYTES = 256 * 1024
# A value takes two bytes of a body and up to two hundred of memory, so bytes alone bound too little.
MOST_VALUES = 100_000
# Matches from every first quote on, also where no other follows: nothing is looked at twice.
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)


def max_body_bytes() -> int:
    """Return the most bytes of a body that are read: room for the largest value in its longest spelling."""
    return _ESCAPE_FACTOR * app_settings.MAX_VALUE_BYTES + _REST_BYTES


def read_body(stream: Any, meta: Mapping[str, Any], *, limit: int) -> bytes:
    """Read a body of at most `limit` bytes; `meta` is the request's. Raises TooLarge."""
    declared = meta.get("CONTENT_LENGTH") or "0"
    is_chunked = "HTTP_TRANSFER_ENCODING" in meta  # then what is declared is only a bound
    if not is_chunked and declared.isdecimal() and int(declared[:20]) > limit:
        raise TooLarge("The body", limit)
    raw: bytes = stream.read(limit + 1)
    if len(raw) > limit:
        raise TooLarge("The body", limit)
    return raw


def parse_json(raw: bytes, **number_parsers: Any) -> Any:
    """Parse a body as `strict_json.parse_json` does. Raises ValueError, and InvalidInput for one with more
    than `MOST_VALUES` values, of which lists and objects count twice.
    """
    # A value has a byte at least, and most long bodies are one long text.
    may_be_many = len(raw) > MOST_VALUES and _values(raw) > MOST_VALUES
    if may_be_many and _values(_TEXT.sub(b"", raw)) > MOST_VALUES:
        raise InvalidInput({"body": [f"The body has more than {MOST_VALUES} values."]})
    return strict_json.parse_json(raw, **number_parsers)


def _values(raw: bytes) -> int:
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")

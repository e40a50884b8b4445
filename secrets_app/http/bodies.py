"""Request bodies: read up to a bound, and as JSON that means the same to every reader."""

from collections.abc import Mapping
from typing import Any

from secrets_app.conf import app_settings
from secrets_app.errors import TooLarge
from secrets_app.strict_json import parse_json

__all__ = ["max_body_bytes", "parse_json", "read_body"]

# JSON may spell one byte of a value in six (`\\u0041`); the rest of a body is small.
_ESCAPE_FACTOR = 6
_REST_BYTES = 256 * 1024


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

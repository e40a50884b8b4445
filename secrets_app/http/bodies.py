"""Request bodies: read up to a bound, and as JSON that means the same to every reader."""

import json
from collections.abc import Mapping
from typing import Any

from secrets_app.conf import app_settings
from secrets_app.errors import TooLarge

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


def parse_json(raw: bytes, **number_parsers: Any) -> Any:
    """Parse UTF-8 JSON (RFC 8259). Refuses what other parsers read differently: duplicate names, NaN and
    infinities, lone surrogates, a byte order mark.

    `number_parsers` are `parse_int` and `parse_float` of `json.loads`. Raises ValueError.
    """
    try:
        data = json.loads(
            raw.decode("utf-8"),
            parse_constant=_refuse,
            object_pairs_hook=_unique_names,
            **number_parsers,
        )
        if b"\\u" in raw:
            json.dumps(data, ensure_ascii=False, default=str).encode("utf-8")
    except RecursionError:
        raise ValueError("too deep") from None
    return data


def _refuse(_: str) -> None:
    raise ValueError("not a JSON number")


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name appears twice")
    return members

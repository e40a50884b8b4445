"""JSON that means the same to every reader."""

import json
from typing import Any


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

"""The data of a KV secret, a JSON object, and the value of a secret version, text: one as the other.

Numbers stay as they are written, and members in their order, since nothing is read and written anew that
was not changed.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from secrets_app.crypto.plaintext import Plaintext
from secrets_app.errors import InvalidInput
from secrets_app.http.bodies import parse_json
from secrets_app.raw_json import SPACE, find_member

# The type of what is written here; a value of another type is the one member of its data.
BUNDLE, VALUE = "env_bundle", "value"
MAX_DEPTH = 100
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it is written."""

    text: str


def parse(raw: bytes) -> Any:
    """Strict JSON; numbers are `Number`. Raises InvalidInput."""
    try:
        return parse_json(raw, parse_int=Number, parse_float=Number)
    except ValueError:
        raise InvalidInput(
            {"body": ["This is not valid JSON in UTF-8, or says something twice."]}
        ) from None


def dump(value: Any) -> str:
    """JSON text of what `parse` gave."""
    if isinstance(value, Number):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{_encode(name)}:{dump(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(dump(each) for each in value) + "]"
    return _encode(value)


def member(text: str, wanted: str) -> str:
    """How a member of an object is written. Raises InvalidInput for what is too deep."""
    try:
        return find_member(text, wanted)
    except RecursionError:
        raise _too_deep() from None


def check_depth(data: Any) -> None:
    """Raises InvalidInput for what is nested too deeply to be taken everywhere."""
    level = [data]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return
    raise _too_deep()


def data_of(value: Plaintext) -> str:
    """A value as the JSON text of its data: itself where it is an object that can be told in UTF-8."""
    text = value.reveal().decode()
    if _is_object(text):
        return text
    return f'{{"{VALUE}":{_encode(text)}}}'


def parse_data(value: Plaintext) -> dict[str, Any]:
    """A value as its data, to be looked at or changed. Raises InvalidInput for one that is too deep."""
    try:
        parsed: dict[str, Any] = json.loads(data_of(value), parse_int=Number, parse_float=Number)
    except RecursionError:
        raise _too_deep() from None
    check_depth(parsed)
    return parsed


def _too_deep() -> InvalidInput:
    return InvalidInput({"data": [f"This is nested more than {MAX_DEPTH} levels deep."]})


def only_text(data: Any) -> str | None:
    """The text, where data is one member `value` with a text and nothing else."""
    if isinstance(data, dict) and len(data) == 1:
        text = data.get(VALUE)
        return text if isinstance(text, str) else None
    return None


def merge(data: Any, patch: Any) -> Any:
    """JSON Merge Patch (RFC 7396, 2)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(data) if isinstance(data, dict) else {}
    for name, each in patch.items():
        if each is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), each)
    return merged


def keys_of(data: Any, depth: int) -> Any:
    """The members with null for every value, down to `depth` levels (0: all)."""
    if not isinstance(data, dict) or not data:
        return None
    return {name: keys_of(each, depth - 1) if depth != 1 else None for name, each in data.items()}


def _is_object(text: str) -> bool:
    if text.lstrip(SPACE)[:1] != "{":
        return False
    try:
        parsed = json.loads(text, parse_constant=_refuse, parse_int=str, parse_float=str)
        if _SURROGATE.search(text):
            _encode(parsed).encode()  # of a lone one there is no UTF-8, so it could not be answered
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(_: str) -> None:
    raise ValueError("not a JSON number")

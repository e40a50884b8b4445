"""Define fields that are stricter than DRF's and never repeat what was sent."""

import json
import math
import re
from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from secrets_app.conf import CONTRACT_TYPES, app_settings
from secrets_app.crypto.plaintext import Plaintext
from secrets_app.errors import TooLarge
from secrets_app.readable import is_readable

MAX_OBJECT_BYTES = 16 * 1024
_MAX_DEPTH = 32
_MAX_INTEGER = 2**63 - 1
_MAX_COUNT = 2**31 - 1
_DATE_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)


@extend_schema_field({"type": "string", "description": "The plaintext, byte for byte."})
class PlaintextField(serializers.Field):  # type: ignore[type-arg]
    """Text, byte for byte: not trimmed, line ends kept; empty and NUL are valid."""

    default_error_messages = {"invalid": "A value is a string."}

    def to_internal_value(self, data: Any) -> Plaintext:
        if not isinstance(data, str):
            self.fail("invalid")
        value = data.encode("utf-8")
        if len(value) > app_settings.MAX_VALUE_BYTES:
            raise TooLarge("The value", app_settings.MAX_VALUE_BYTES)
        return Plaintext(value)


@extend_schema_field({"type": "string", "enum": list(CONTRACT_TYPES)})
class SecretTypeField(serializers.Field):  # type: ignore[type-arg]
    default_error_messages = {"invalid": "Not a known type. Known are: {known}."}

    def to_internal_value(self, data: Any) -> str:
        known = app_settings.SECRET_TYPES
        if not isinstance(data, str) or data not in known:
            self.fail("invalid", known=", ".join(known))
        return data


@extend_schema_field({"type": "object", "additionalProperties": True})
class JSONObjectField(serializers.Field):  # type: ignore[type-arg]
    """A JSON object that every database can keep."""

    default_error_messages = {
        "invalid": "This must be a JSON object.",
        "large": "This is larger than {limit} bytes when serialised.",
        "deep": "This is nested more than {limit} levels deep.",
        "number": "Numbers must be finite, and integers within 64 bits.",
        "nul": "Text must not hold NUL characters.",
    }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("invalid")
        self._check(data, _MAX_DEPTH)
        serialised = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
        if len(serialised) > MAX_OBJECT_BYTES:
            self.fail("large", limit=MAX_OBJECT_BYTES)
        return data

    def to_representation(self, value: Any) -> Any:
        return value

    def _check(self, value: Any, depth: int) -> None:
        if depth < 0:
            self.fail("deep", limit=_MAX_DEPTH)
        if isinstance(value, dict):
            for name, inner in value.items():
                self._check(name, depth)
                self._check(inner, depth - 1)
        elif isinstance(value, list):
            for inner in value:
                self._check(inner, depth - 1)
        elif isinstance(value, str):
            if "\0" in value:
                self.fail("nul")
        elif isinstance(value, float):
            if not math.isfinite(value):
                self.fail("number")
        elif isinstance(value, int) and abs(value) > _MAX_INTEGER:
            self.fail("number")


@extend_schema_field({"type": "string", "format": "date-time"})
class InstantField(serializers.Field):  # type: ignore[type-arg]
    """An ISO 8601 date-time with offset (RFC 3339), in and out; given back in UTC with `Z`."""

    default_error_messages = {
        "invalid": "This must be a date-time with offset, such as 2030-01-31T12:00:00Z."
    }

    def to_internal_value(self, data: Any) -> datetime:
        if not isinstance(data, str) or _DATE_TIME.fullmatch(data) is None:
            self.fail("invalid")
        try:
            return datetime.fromisoformat(data.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail("invalid")

    def to_representation(self, value: datetime) -> str:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": _MAX_COUNT})
class CountField(serializers.Field):  # type: ignore[type-arg]
    default_error_messages = {"invalid": "This must be a whole number from 1 to {most}."}

    def to_internal_value(self, data: Any) -> int:
        number = whole_number(data)
        if number is None or not 1 <= number <= _MAX_COUNT:
            self.fail("invalid", most=_MAX_COUNT)
        return number


def whole_number(data: Any) -> int | None:
    """Return an integer, or None. In JSON 3.0 is an integer, too (JSON Schema, 6.1.1)."""
    if isinstance(data, bool):
        return None
    if isinstance(data, float):
        return int(data) if data.is_integer() else None
    return data if isinstance(data, int) else None


class BoundedListField(serializers.ListField):
    """Checks the length first. DRF would first check, and complain about, every item."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, list) and self.max_length is not None and len(data) > self.max_length:
            raise serializers.ValidationError(
                f"This has more than {self.max_length} items.", code="max_length"
            )
        return super().to_internal_value(data)


class StringField(serializers.CharField):
    """Text as it was sent. DRF would trim it, and turn a number into text."""

    default_error_messages = {"invalid": "This must be a string."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"trim_whitespace": False} | kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class NameField(serializers.CharField):
    """A name for people: trimmed, 1 to 255 characters.

    Control and bidirectional characters are refused, since one name could pose as another with them.
    """

    default_error_messages = {
        "invalid": "This must be a string.",
        "character": "Control, bidirectional and invisible characters are not allowed.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"min_length": 1, "max_length": 255} | kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        if not is_readable(data, allow_newlines=False):
            self.fail("character")
        return super().to_internal_value(data)


class TextField(NameField):
    """Prose: like a name, but longer; it may be empty and have line breaks."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"min_length": None, "max_length": 4096, "allow_blank": True} | kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        if not is_readable(data, allow_newlines=True):
            self.fail("character")
        return serializers.CharField.to_internal_value(self, data)

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from secrets_app.api.serializers.base import SparseSerializer, StrictSerializer
from secrets_app.api.serializers.fields import StringField, whole_number
from secrets_app.errors import InvalidInput
from secrets_app.http.durations import parse_duration, show_duration
from secrets_app.readable import readable_pattern
from secrets_app.services.secrets import MAX_NOTES, MAX_VERSIONS_BOUND, Settings

_READABLE = readable_pattern()


@extend_schema_field({"type": "integer", "minimum": 0, "maximum": MAX_VERSIONS_BOUND})
class VersionsBoundField(serializers.Field):  # type: ignore[type-arg]
    default_error_messages = {
        "invalid": f"This must be a whole number from 0 to {MAX_VERSIONS_BOUND}."
    }

    def to_internal_value(self, data: Any) -> int:
        number = whole_number(data)
        if number is None or not 0 <= number <= MAX_VERSIONS_BOUND:
            self.fail("invalid")
        return number

    def to_representation(self, value: int) -> int:
        return value


@extend_schema_field({"type": "boolean"})
class FlagField(serializers.Field):  # type: ignore[type-arg]
    """True or false, and no other word for it."""

    default_error_messages = {"invalid": "This must be true or false."}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data

    def to_representation(self, value: bool) -> bool:
        return value


@extend_schema_field(
    {"type": "string", "pattern": "^([0-9]{1,4}[hms])+$", "maxLength": 20, "example": "1h30m"}
)
class DurationField(serializers.Field):  # type: ignore[type-arg]
    default_error_messages = {"invalid": "This must be a time such as 1h30m."}

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            return parse_duration(data, field="delete_version_after")
        except InvalidInput:
            self.fail("invalid")

    def to_representation(self, value: int) -> str:
        return show_duration(value)


@extend_schema_field(
    {
        "type": "object",
        "description": "Texts without control, bidirectional and invisible characters.",
        "maxProperties": MAX_NOTES,
        "propertyNames": {"pattern": _READABLE, "minLength": 1, "maxLength": 128},
        "additionalProperties": {"type": "string", "pattern": _READABLE, "maxLength": 512},
    }
)
class NotesField(serializers.DictField):
    """Text by name; how many and how long is for the service to judge."""

    child = StringField(allow_blank=True)

    def to_representation(self, value: Any) -> Any:
        return dict(value)


class SecretSettingsSerializer(SparseSerializer, StrictSerializer):
    """What is set for a secret as a whole. In a PUT, what is left out is unset."""

    max_versions = VersionsBoundField(
        required=False, help_text="How many versions are kept; 0: as many as the deployment keeps."
    )
    cas_required = FlagField(
        required=False, help_text="A write must have If-Match or If-None-Match, else 428."
    )
    delete_version_after = DurationField(
        required=False, help_text="How long a version lives; 0s: for ever."
    )
    custom_metadata = NotesField(required=False)

    @classmethod
    def to_settings(cls, data: Any) -> Settings:
        """Return the body as the service takes it. Raises rest_framework.exceptions.ValidationError."""
        return Settings(**cls.read(data))

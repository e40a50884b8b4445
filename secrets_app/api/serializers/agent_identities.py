from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from secrets_app.api.serializers.base import SparseSerializer, StrictSerializer
from secrets_app.api.serializers.fields import (
    InstantField,
    JSONObjectField,
    NameField,
    StringField,
    whole_number,
)
from secrets_app.federation.claims import MAX_NAME_CHARS, MAX_PATTERN_CHARS, MOST_CLAIMS
from secrets_app.outbound import MAX_URL_CHARS
from secrets_app.readable import is_readable, readable_pattern
from secrets_app.services.identity import DEFAULT_AGE_S, MAX_AGE_S, MIN_AGE_S, NewIdentity

_MAX_CHARS = 512


class WordField(StringField):
    """Text that is compared character by character: printable ASCII without spaces."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": _MAX_CHARS} | kwargs)
        self.validators.append(_printable)


def _printable(text: str) -> None:
    if not all("!" <= each <= "~" for each in text):
        raise serializers.ValidationError("Printable ASCII without spaces only.")


@extend_schema_field(
    {
        "type": "object",
        "minProperties": 1,
        "maxProperties": MOST_CLAIMS,
        "additionalProperties": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_PATTERN_CHARS,
            "pattern": readable_pattern(),
        },
        "description": "Claim → pattern: exact, or with `*` within one part between `/` and `:`.",
        "example": {"sub": "repo:acme/api:ref:refs/heads/main"},
    }
)
class ClaimsField(serializers.Field):  # type: ignore[type-arg]
    default_error_messages = {
        "invalid": "This is an object of 1 to {most} claims, each with a pattern as text.",
        "character": "Names and patterns are short texts without control or invisible characters.",
    }

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if not isinstance(data, dict) or not 0 < len(data) <= MOST_CLAIMS:
            self.fail("invalid", most=MOST_CLAIMS)
        for name, pattern in data.items():
            if not isinstance(pattern, str):
                self.fail("invalid", most=MOST_CLAIMS)
            if not (
                0 < len(name) <= MAX_NAME_CHARS
                and len(pattern) <= MAX_PATTERN_CHARS
                and is_readable(name + pattern, allow_newlines=False)
            ):
                self.fail("character")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field(
    {"type": "integer", "minimum": MIN_AGE_S, "maximum": MAX_AGE_S, "default": DEFAULT_AGE_S}
)
class AgeField(serializers.Field):  # type: ignore[type-arg]
    default_error_messages = {
        "invalid": f"This is a whole number of seconds from {MIN_AGE_S} to {MAX_AGE_S}."
    }

    def to_internal_value(self, data: Any) -> int:
        number = whole_number(data)
        if number is None or not MIN_AGE_S <= number <= MAX_AGE_S:
            self.fail("invalid")
        return number

    def to_representation(self, value: int) -> int:
        return value


@extend_schema_field({"type": "boolean", "default": False})
class YesField(serializers.Field):  # type: ignore[type-arg]
    """true or false. DRF would take "yes", too."""

    default_error_messages = {"invalid": "This must be true or false."}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data

    def to_representation(self, value: bool) -> bool:
        return value


class IdentityCreateSerializer(StrictSerializer):
    name = NameField()
    issuer = WordField(help_text="The `iss` of its tokens, character by character.")
    audience = WordField(help_text="The one `aud` of its tokens.")
    claims = ClaimsField()
    jwks_url = WordField(required=False, max_length=MAX_URL_CHARS)
    jwks = JSONObjectField(required=False)
    max_age_seconds = AgeField(required=False)
    single_use = YesField(required=False)

    def to_identity(self) -> NewIdentity:
        """Return the validated body in the form that the service takes."""
        return NewIdentity(**self.validated_data)


class IdentitySerializer(SparseSerializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    issuer = serializers.CharField()
    audience = serializers.CharField()
    claims = ClaimsField()
    jwks_url = serializers.SerializerMethodField()
    jwks = JSONObjectField(required=False)
    max_age_seconds = serializers.IntegerField()
    single_use = serializers.BooleanField()
    created_at = InstantField()
    expires_at = InstantField(
        required=False, help_text="When the API key was to expire that it was made with."
    )
    parent_id = serializers.UUIDField(
        required=False, help_text="The API key it was made with, and ends with."
    )

    def get_jwks_url(self, identity: Any) -> str | None:
        return identity.jwks_url or None


class IdentityListSerializer(serializers.Serializer):  # type: ignore[type-arg]
    identities = IdentitySerializer(many=True)

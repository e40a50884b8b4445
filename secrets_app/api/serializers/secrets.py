from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from secrets_app.api.serializers.base import SparseSerializer, StrictSerializer
from secrets_app.api.serializers.fields import (
    CountField,
    InstantField,
    JSONObjectField,
    PlaintextField,
    SecretTypeField,
    whole_number,
)
from secrets_app.crypto.plaintext import Plaintext
from secrets_app.models import SecretVersion
from secrets_app.services.secrets import (
    CHARSETS,
    DEFAULT_LENGTH,
    MAX_LENGTH,
    MIN_LENGTH,
    NewVersion,
    Recipe,
)


class SecretWriteSerializer(StrictSerializer):
    """Body of PUT: one version."""

    type = SecretTypeField()
    value = PlaintextField()
    metadata = JSONObjectField(required=False)
    expires_at = InstantField(required=False)
    rotation_policy = JSONObjectField(required=False)
    max_access_count = CountField(required=False)

    @classmethod
    def to_version(cls, data: Any) -> NewVersion:
        """Return the body in the form that the service takes. Raises
        rest_framework.exceptions.ValidationError.
        """
        return NewVersion(**cls.read(data))


class SecretSerializer(SparseSerializer):
    """A version without its value."""

    id = serializers.UUIDField(source="secret_id")
    path = serializers.CharField(source="secret.path")
    type = serializers.CharField()
    version = serializers.IntegerField(source="number")
    metadata = JSONObjectField(required=False)
    created_at = InstantField()
    expires_at = InstantField(required=False)


@extend_schema_field({"type": "string", "description": "The plaintext, byte for byte."})
class ValueField(serializers.Field):  # type: ignore[type-arg]
    """Shows a plaintext as text. No other field does."""

    def to_representation(self, value: Plaintext) -> str:
        return value.reveal().decode()


class RevealedSecretSerializer(SparseSerializer):
    """A version with its value."""

    id = serializers.UUIDField(source="version.secret_id")
    path = serializers.CharField(source="version.secret.path")
    type = serializers.CharField(source="version.type")
    version = serializers.IntegerField(source="version.number")
    metadata = JSONObjectField(source="version.metadata", required=False)
    created_at = InstantField(source="version.created_at")
    expires_at = InstantField(source="version.expires_at", required=False)
    value = ValueField()
    created_by = serializers.CharField(source="version.created_by")
    rotation_policy = JSONObjectField(source="version.rotation_policy", required=False)
    max_access_count = serializers.IntegerField(source="version.max_access_count", required=False)


class SecretVersionSerializer(SecretSerializer):
    """A version in a list of versions."""

    is_disabled = serializers.SerializerMethodField()

    def get_is_disabled(self, instance: SecretVersion) -> bool:
        return instance.disabled_at is not None or instance.destroyed_at is not None


class SecretListSerializer(serializers.Serializer):  # type: ignore[type-arg]
    secrets = SecretSerializer(many=True)
    next_cursor = serializers.CharField(required=False, help_text="Absent on the last page.")


class SecretVersionListSerializer(serializers.Serializer):  # type: ignore[type-arg]
    versions = SecretVersionSerializer(many=True)
    next_cursor = serializers.CharField(required=False, help_text="Absent on the last page.")


@extend_schema_field(
    {
        "type": "integer",
        "minimum": MIN_LENGTH,
        "maximum": MAX_LENGTH,
        "default": DEFAULT_LENGTH,
    }
)
class LengthField(serializers.Field):  # type: ignore[type-arg]
    default_error_messages = {
        "invalid": f"A length is a whole number from {MIN_LENGTH} to {MAX_LENGTH}."
    }

    def to_internal_value(self, data: Any) -> int:
        number = whole_number(data)
        if number is None or not MIN_LENGTH <= number <= MAX_LENGTH:
            self.fail("invalid")
        return number


@extend_schema_field({"type": "string", "enum": list(CHARSETS), "default": "hex"})
class CharsetField(serializers.Field):  # type: ignore[type-arg]
    default_error_messages = {"invalid": f"Known are: {', '.join(CHARSETS)}."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data not in CHARSETS:
            self.fail("invalid")
        return data


class RotateSerializer(StrictSerializer):
    """Body of a rotation: how the server draws the new value."""

    length = LengthField(required=False)
    charset = CharsetField(required=False)
    type = SecretTypeField(required=False)

    @classmethod
    def to_recipe(cls, data: Any) -> Recipe:
        """Return the body in the form that the service takes. Raises
        rest_framework.exceptions.ValidationError.
        """
        return Recipe(**cls.read(data))

from typing import Any

from rest_framework import serializers

from secrets_app.api.serializers.base import SparseSerializer, StrictSerializer
from secrets_app.api.serializers.fields import (
    CountField,
    InstantField,
    JSONObjectField,
    PlaintextField,
    SecretTypeField,
)
from secrets_app.services.write import NewVersion


class SecretWriteSerializer(StrictSerializer):
    """Body of PUT: one version."""

    type = SecretTypeField()
    value = PlaintextField()
    metadata = JSONObjectField(required=False)
    expires_at = InstantField(required=False)
    rotation_policy = JSONObjectField(required=False)
    max_access_count = CountField(required=False)

    def to_version(self) -> NewVersion:
        """The validated body, as the service takes it."""
        return NewVersion(**self.validated_data)


class SecretSerializer(SparseSerializer):
    """A version without its value."""

    id = serializers.UUIDField(source="secret_id")
    path = serializers.CharField(source="secret.path")
    type = serializers.CharField()
    version = serializers.IntegerField(source="number")
    metadata = JSONObjectField(required=False)
    created_at = InstantField()
    expires_at = InstantField(required=False)


class RevealedSecretSerializer(SecretSerializer):
    """A version with its value."""

    value = serializers.SerializerMethodField()
    created_by = serializers.CharField()
    rotation_policy = JSONObjectField(required=False)
    max_access_count = serializers.IntegerField(required=False)

    def get_value(self, instance: Any) -> str:
        """The plaintext, byte for byte."""
        text: str = self.context["value"].reveal().decode()
        return text

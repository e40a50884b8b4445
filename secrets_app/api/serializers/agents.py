from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from secrets_app.api.serializers.base import SparseSerializer, StrictSerializer
from secrets_app.api.serializers.fields import (
    BoundedListField,
    InstantField,
    NameField,
    TextField,
    whole_number,
)
from secrets_app.models import Agent
from secrets_app.services.identity import DEFAULT_TTL_S, MAX_TTL_S, MIN_TTL_S, NewAgent

_MAX_VAULTS = 100


@extend_schema_field(
    {"type": "integer", "minimum": MIN_TTL_S, "maximum": MAX_TTL_S, "default": DEFAULT_TTL_S}
)
class TtlField(serializers.Field):  # type: ignore[type-arg]
    default_error_messages = {
        "invalid": f"This is a whole number of seconds from {MIN_TTL_S} to {MAX_TTL_S}."
    }

    def to_internal_value(self, data: Any) -> int:
        number = whole_number(data)
        if number is None or not MIN_TTL_S <= number <= MAX_TTL_S:
            self.fail("invalid")
        return number

    def to_representation(self, value: int) -> int:
        return value


class IdField(serializers.UUIDField):
    default_error_messages = {"invalid": "This is not a UUID."}

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class AgentCreateSerializer(StrictSerializer):
    """Flags that other servers of this family have are taken while they are false."""

    unknown_fields: ClassVar[dict[str, Any]] = {"const": False}

    name = NameField()
    description = TextField(required=False)
    expires_at = InstantField(required=False)
    token_ttl_seconds = TtlField(required=False)
    vault_ids = BoundedListField(child=IdField(), required=False, max_length=_MAX_VAULTS)
    api_key_expires_at = InstantField(required=False)
    auth_method = serializers.ChoiceField(
        choices=["api_key"],
        required=False,
        error_messages={"invalid_choice": "Agents sign in with an `api_key` here."},
    )

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            data = {
                name: value
                for name, value in data.items()
                if value is not False or name in self.fields
            }
        return super().to_internal_value(data)

    def to_agent(self) -> NewAgent:
        """Return the validated body in the form that the service takes."""
        fields = {k: v for k, v in self.validated_data.items() if k != "auth_method"}
        return NewAgent(**fields)


class AgentUpdateSerializer(StrictSerializer):
    """What is left out stays; null takes the expiry away."""

    name = NameField(required=False)
    description = TextField(required=False)
    expires_at = InstantField(required=False, allow_null=True)
    token_ttl_seconds = TtlField(required=False)
    vault_ids = BoundedListField(child=IdField(), required=False, max_length=_MAX_VAULTS)


class AgentSerializer(SparseSerializer):
    id = serializers.UUIDField(source="pk")
    name = serializers.CharField(source="principal.name")
    description = serializers.CharField()
    is_active = serializers.BooleanField(source="principal.is_active")
    auth_method = serializers.SerializerMethodField()
    token_ttl_seconds = serializers.IntegerField()
    vault_ids = serializers.ListField(child=serializers.UUIDField())
    expires_at = InstantField(source="principal.expires_at", required=False)
    created_at = InstantField(source="principal.created_at")
    created_by = serializers.CharField(source="owner")

    def get_auth_method(self, agent: Agent) -> str:
        return "api_key"


class AgentListSerializer(serializers.Serializer):  # type: ignore[type-arg]
    agents = AgentSerializer(many=True)


class AgentWithKeySerializer(serializers.Serializer):  # type: ignore[type-arg]
    agent = AgentSerializer()
    api_key = serializers.CharField(help_text="Shown this once.")
    api_key_expires_at = InstantField(required=False)

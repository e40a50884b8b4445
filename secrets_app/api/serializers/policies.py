from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from secrets_app.api.serializers.base import SparseSerializer, StrictSerializer
from secrets_app.api.serializers.batches import PathField
from secrets_app.api.serializers.fields import (
    BoundedListField,
    InstantField,
    JSONObjectField,
    StringField,
)
from secrets_app.models import Policy
from secrets_app.policy.decision import GRANTABLE, Effect, Permission
from secrets_app.policy.path import MAX_PATH_CHARS
from secrets_app.policy.pattern import MAX_SEGMENTS
from secrets_app.services.access import PRINCIPAL_TYPES, NewPolicy


def _choices(names: Any) -> serializers.ChoiceField:
    known = list(names)
    return serializers.ChoiceField(
        choices=known, error_messages={"invalid_choice": f"Known are: {', '.join(known)}."}
    )


def _effect() -> serializers.ChoiceField:
    return serializers.ChoiceField(
        choices=[effect.value for effect in Effect],
        required=False,
        error_messages={"invalid_choice": f"Known are: {', '.join(Effect)}."},
    )


_CLOCK = {"type": "string", "pattern": "^(?:[01][0-9]|2[0-3]):[0-5][0-9]$"}
_ZONE = {
    "type": "string",
    "description": "A name of the IANA time zone database.",
    "default": "UTC",
}
_DAYS = {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0, "maximum": 6}}


def _closed(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": required | optional,
        "required": sorted(required),
        "additionalProperties": False,
    }


@extend_schema_field(
    _closed(
        {},
        ip_allowlist={
            "type": "array",
            "minItems": 1,
            "maxItems": 256,
            "items": {"type": "string", "description": "A network in CIDR form."},
        },
        time_window={
            "oneOf": [
                _closed({"after": _CLOCK, "before": _CLOCK}, timezone=_ZONE),
                _closed(
                    {
                        "start_hour": {"type": "integer", "minimum": 0, "maximum": 23},
                        "end_hour": {"type": "integer", "minimum": 0, "maximum": 24},
                    },
                    days_of_week=_DAYS,
                    timezone=_ZONE,
                ),
            ]
        },
    )
)
class ConditionsField(JSONObjectField):
    """The conditions of a policy, which `policy/conditions.py` checks."""


class PolicyCreateSerializer(StrictSerializer):
    secret_path_pattern = StringField(
        help_text=(
            "Path segments, `*` (exactly one segment) and `**` (any number of segments, also none), joined"
            f" by single slashes; at most {MAX_PATH_CHARS} characters and {MAX_SEGMENTS} segments."
        )
    )
    principal_type = _choices(PRINCIPAL_TYPES)
    principal_id = StringField(max_length=150, help_text="An id, or a group's name.")
    permissions = BoundedListField(child=_choices(GRANTABLE), min_length=1, max_length=8)
    conditions = ConditionsField(required=False)
    expires_at = InstantField(required=False)
    effect = _effect()

    def to_policy(self) -> NewPolicy:
        """Return the validated body in the form that the service takes."""
        return NewPolicy(**self.validated_data)


class PolicyUpdateSerializer(StrictSerializer):
    """Fields that are left out stay; null removes conditions or expiry. Pattern and principal are fixed."""

    permissions = BoundedListField(
        child=_choices(GRANTABLE), min_length=1, max_length=8, required=False
    )
    conditions = ConditionsField(required=False, allow_null=True)
    expires_at = InstantField(required=False, allow_null=True)
    effect = _effect()


class PolicySerializer(SparseSerializer):
    id = serializers.UUIDField()
    vault_id = serializers.UUIDField()
    secret_path_pattern = serializers.CharField(source="pattern")
    principal_type = serializers.SerializerMethodField()
    principal_id = serializers.SerializerMethodField()
    permissions = serializers.ListField(child=serializers.CharField())
    effect = serializers.CharField()
    conditions = JSONObjectField(required=False)
    expires_at = InstantField(required=False)
    created_by = serializers.CharField()
    created_at = InstantField()

    def get_principal_type(self, policy: Policy) -> str:
        return "group" if policy.principal is None else policy.principal.kind

    def get_principal_id(self, policy: Policy) -> str:
        if policy.principal is not None:
            return str(policy.principal_id)
        return str(policy.group)


class PolicyListSerializer(serializers.Serializer):  # type: ignore[type-arg]
    policies = PolicySerializer(many=True)


class AccessQuerySerializer(StrictSerializer):
    principal_id = serializers.UUIDField(
        required=False, help_text="Left out: the caller. Others are for the vault's owner."
    )
    path = PathField()
    permission = _choices([permission.value for permission in Permission])


class ExplanationSerializer(serializers.Serializer):  # type: ignore[type-arg]
    principal_id = serializers.UUIDField()
    path = serializers.CharField()
    permission = serializers.CharField()
    allowed = serializers.BooleanField()
    reason = serializers.CharField()
    policies = serializers.ListField(child=serializers.UUIDField())

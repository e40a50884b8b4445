"""Read audit queries and show audit events."""

import base64
import re
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from secrets_app.api.serializers.base import SparseSerializer, StrictSerializer
from secrets_app.api.serializers.fields import InstantField
from secrets_app.api.serializers.queries import LimitField
from secrets_app.models import AuditEvent
from secrets_app.services.audit import MAX_OFFSET

_CURSOR = re.compile(r"[A-Za-z0-9_-]{22}")  # 16 bytes
_OUTCOMES = list(AuditEvent.Outcome.values)


@extend_schema_field({"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0})
class OffsetField(serializers.Field):  # type: ignore[type-arg]
    default_error_messages = {
        "invalid": f"An offset is a whole number from 0 to {MAX_OFFSET}; a cursor goes further."
    }

    def to_internal_value(self, data: Any) -> int:
        if re.fullmatch(r"[0-9]{1,5}", data) is None or int(data) > MAX_OFFSET:
            self.fail("invalid")
        return int(data)


@extend_schema_field({"type": "string", "pattern": f"^{_CURSOR.pattern}$"})
class EventCursorField(serializers.Field):  # type: ignore[type-arg]
    """The id of the last event of a page. It is only compared with ids of events that the caller sees."""

    default_error_messages = {"invalid": "This is not a cursor of this list."}

    def to_internal_value(self, data: Any) -> UUID:
        if _CURSOR.fullmatch(data) is None:
            self.fail("invalid")
        return UUID(bytes=base64.urlsafe_b64decode(data + "=="))

    @staticmethod
    def encode(where: UUID) -> str:
        return base64.urlsafe_b64encode(where.bytes).rstrip(b"=").decode()


class RangeSerializer(StrictSerializer):
    def get_fields(self) -> dict[str, Any]:
        # Not attributes, since `from` is a Python keyword.
        return super().get_fields() | {
            "from": InstantField(required=False, source="since", help_text="From then on."),
            "to": InstantField(required=False, source="until", help_text="Before then."),
        }


class EventsQuerySerializer(RangeSerializer):
    resource_id = serializers.UUIDField(required=False, error_messages={"invalid": "Not a UUID."})
    actor_id = serializers.UUIDField(required=False, error_messages={"invalid": "Not a UUID."})
    vault_id = serializers.UUIDField(required=False, error_messages={"invalid": "Not a UUID."})
    action = serializers.RegexField(
        r"\A[a-z_]+\.[a-z_]+\Z",
        max_length=64,
        required=False,
        trim_whitespace=False,
        error_messages={"invalid": "An action is two words, such as secret.read."},
    )
    outcome = serializers.ChoiceField(
        choices=_OUTCOMES,
        required=False,
        error_messages={"invalid_choice": f"One of {', '.join(_OUTCOMES)}."},
    )
    limit = LimitField(required=False)
    offset = OffsetField(required=False)
    cursor = EventCursorField(required=False, source="before", help_text="`next_cursor` of a page.")


class VerifyQuerySerializer(RangeSerializer):
    """`limit` is accepted, since clients send it, and limits nothing."""

    limit = serializers.RegexField(r"\A[0-9]{1,9}\Z", required=False)


class AuditEventSerializer(SparseSerializer):
    id = serializers.UUIDField()
    action = serializers.CharField(help_text="Two words, such as `secret.read`.")
    outcome = serializers.ChoiceField(choices=_OUTCOMES)
    actor_id = serializers.UUIDField(required=False)
    actor_type = serializers.CharField(help_text="user, agent, anonymous or operator.")
    vault_id = serializers.UUIDField(required=False)
    resource_type = serializers.CharField()
    resource_id = serializers.UUIDField(required=False)
    details = serializers.DictField()
    ip_address = serializers.CharField(required=False)
    request_id = serializers.UUIDField(required=False)
    created_at = InstantField()
    seal = serializers.IntegerField(
        source="seal_number", required=False, help_text="The seal it is in; absent before sealing."
    )


class AuditEventListSerializer(serializers.Serializer):  # type: ignore[type-arg]
    events = AuditEventSerializer(many=True)
    count = serializers.IntegerField(help_text="How many events this page has.")
    next_cursor = serializers.CharField(required=False, help_text="Absent on the last page.")


class CheckpointSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """A seal, and the Ed25519 signature (RFC 8032) of its content, in hexadecimal."""

    seal = serializers.DictField()
    signature = serializers.CharField()
    public_key = serializers.CharField()


class AuditProofSerializer(CheckpointSerializer):
    """An inclusion proof (RFC 6962). Hashes are SHA-256, in hexadecimal."""

    scheme = serializers.CharField()
    event = serializers.DictField(help_text="The content that the leaf is the hash of.")
    leaf_index = serializers.IntegerField()
    tree_size = serializers.IntegerField()
    audit_path = serializers.ListField(child=serializers.CharField())


class VerificationSerializer(serializers.Serializer):  # type: ignore[type-arg]
    chain_valid = serializers.BooleanField()
    events_verified = serializers.IntegerField()
    events_checked = serializers.IntegerField()
    scheme = serializers.CharField()
    broken_at_event_id = serializers.UUIDField(allow_null=True)
    broken_at_seal = serializers.IntegerField(required=False)
    problem = serializers.CharField(required=False)
    checkpoint = CheckpointSerializer(required=False)

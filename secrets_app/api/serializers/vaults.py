from rest_framework import serializers

from secrets_app.api.serializers.audit import OffsetField
from secrets_app.api.serializers.base import SparseSerializer, StrictSerializer
from secrets_app.api.serializers.fields import InstantField, NameField, TextField
from secrets_app.api.serializers.queries import LimitField
from secrets_app.models import Vault
from secrets_app.services.audit import MAX_OFFSET
from secrets_app.services.secrets import MAX_LIMIT


class VaultOffsetField(OffsetField):
    default_error_messages = {"invalid": f"An offset is a whole number from 0 to {MAX_OFFSET}."}


class VaultsQuerySerializer(StrictSerializer):
    shared = serializers.ChoiceField(
        choices=["true", "false"],
        required=False,
        error_messages={"invalid_choice": "This is `true` or `false`."},
        help_text="Only vaults of others, or only one's own.",
    )
    limit = LimitField(required=False, default=MAX_LIMIT)
    offset = VaultOffsetField(required=False, default=0)


class VaultCreateSerializer(StrictSerializer):
    name = NameField()
    description = TextField(required=False, default="")


class VaultSerializer(SparseSerializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.SerializerMethodField()
    created_by = serializers.CharField()
    created_by_type = serializers.CharField(source="created_by.kind")
    created_at = InstantField()
    shared_by = serializers.SerializerMethodField(help_text="The owner, where that is not you.")

    def get_shared_by(self, vault: Vault) -> str | None:
        return str(vault.owner) if getattr(vault, "is_shared", False) else None

    def get_description(self, vault: Vault) -> str | None:
        return vault.description or None


class VaultListSerializer(serializers.Serializer):  # type: ignore[type-arg]
    vaults = VaultSerializer(many=True)
    next_offset = serializers.IntegerField(required=False, help_text="Absent on the last page.")

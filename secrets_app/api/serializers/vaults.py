from rest_framework import serializers

from secrets_app.api.serializers.base import SparseSerializer, StrictSerializer
from secrets_app.api.serializers.fields import InstantField, NameField, TextField
from secrets_app.models import Vault


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

    def get_description(self, vault: Vault) -> str | None:
        return vault.description or None


class VaultListSerializer(serializers.Serializer):  # type: ignore[type-arg]
    vaults = VaultSerializer(many=True)

from rest_framework import serializers

from secrets_app.api.serializers.base import SparseSerializer, StrictSerializer
from secrets_app.api.serializers.fields import InstantField, NameField, TextField


class VaultCreateSerializer(StrictSerializer):
    name = NameField()
    description = TextField(required=False, default="")


class VaultSerializer(SparseSerializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField(required=False)
    created_by = serializers.CharField()
    created_by_type = serializers.CharField(source="created_by.kind")
    created_at = InstantField()


class VaultListSerializer(serializers.Serializer):  # type: ignore[type-arg]
    vaults = VaultSerializer(many=True)

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from secrets_app.api.schema import ProblemSerializer
from secrets_app.api.serializers.base import StrictSerializer
from secrets_app.api.serializers.fields import BoundedListField, whole_number
from secrets_app.api.serializers.secrets import (
    RevealedSecretSerializer,
    SecretSerializer,
    SecretWriteSerializer,
)
from secrets_app.errors import InvalidPath
from secrets_app.policy.path import MAX_PATH_CHARS, PATH_REGEX, parse_path
from secrets_app.services.secrets import BatchItem, NewVersion, Precondition
from secrets_app.services.secrets.batch_read import MAX_ITEMS


@extend_schema_field(
    {"type": "string", "pattern": f"^{PATH_REGEX}$", "minLength": 1, "maxLength": MAX_PATH_CHARS}
)
class PathField(serializers.Field):  # type: ignore[type-arg]
    default_error_messages = {"invalid": "This is not a valid path."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            return parse_path(data)
        except InvalidPath:
            self.fail("invalid")

    def to_representation(self, value: str) -> str:
        return value


@extend_schema_field({"type": "integer", "minimum": 0, "maximum": 2**31 - 1})
class VersionField(serializers.Field):  # type: ignore[type-arg]
    default_error_messages = {"invalid": "This is the number of a version, or 0 for none yet."}

    def to_internal_value(self, data: Any) -> int:
        number = whole_number(data)
        if number is None or not 0 <= number < 2**31:
            self.fail("invalid")
        return number


class BatchReadRequestSerializer(StrictSerializer):
    paths = BoundedListField(child=PathField(), min_length=1, max_length=MAX_ITEMS)

    def validate_paths(self, paths: list[str]) -> list[str]:
        return _each_once(paths)


class BatchWriteItemSerializer(SecretWriteSerializer):
    path = PathField()
    if_version = VersionField(required=False)

    @staticmethod
    def to_item(fields: dict[str, Any]) -> BatchItem:
        expected = fields.pop("if_version", None)
        if expected is None:
            expect = Precondition()
        elif expected == 0:
            expect = Precondition(must_not_exist=True)
        else:
            expect = Precondition(versions=frozenset({expected}), must_exist=True)
        return BatchItem(fields.pop("path"), NewVersion(**fields), expect)


class BatchWriteRequestSerializer(StrictSerializer):
    secrets = BoundedListField(child=BatchWriteItemSerializer(), min_length=1, max_length=MAX_ITEMS)

    def validate_secrets(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        _each_once([item["path"] for item in items])
        return items

    def to_items(self) -> list[BatchItem]:
        """Return the validated body in the form that the service takes."""
        to_item = BatchWriteItemSerializer.to_item
        return [to_item(dict(fields)) for fields in self.validated_data["secrets"]]


class ItemProblemSerializer(ProblemSerializer):
    path = serializers.CharField()


class BatchReadSerializer(serializers.Serializer):  # type: ignore[type-arg]
    secrets = RevealedSecretSerializer(many=True)
    errors = ItemProblemSerializer(many=True)  # type: ignore[assignment]


class BatchWriteSerializer(serializers.Serializer):  # type: ignore[type-arg]
    secrets = SecretSerializer(many=True)


def _each_once(paths: list[str]) -> list[str]:
    if len(set(paths)) != len(paths):
        raise serializers.ValidationError("The same path appears twice.")
    return paths

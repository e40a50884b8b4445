from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

_SHOWN_NAMES = 20


class StrictSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Input: refuses fields it does not know, by name. A mistyped `expire_at` must not pass."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise serializers.ValidationError({"body": ["The body must be a JSON object."]})
        unknown = sorted(data.keys() - self.fields.keys())
        if unknown:
            raise serializers.ValidationError(
                {_printable(name): ["Unknown field."] for name in unknown[:_SHOWN_NAMES]}
            )
        return super().to_internal_value(data)


class SparseSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Output: leaves out what is unset."""

    def to_representation(self, instance: Any) -> dict[str, Any]:
        fields = super().to_representation(instance)
        return {name: value for name, value in fields.items() if value is not None}


def require_empty_body(request: Request) -> None:
    """A POST that takes no fields takes none: `{"dry_run": true}` must not do the thing.

    Raises rest_framework.exceptions.ValidationError, ParseError.
    """
    StrictSerializer(data=request.data).is_valid(raise_exception=True)


def _printable(name: str) -> str:
    return name[:64].encode("unicode_escape").decode("ascii")

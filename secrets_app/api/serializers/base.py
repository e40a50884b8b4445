from collections.abc import Callable, Mapping
from functools import cache, cached_property
from operator import attrgetter
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request

_SHOWN_NAMES = 20


class StrictSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Input: refuses fields it does not know, by name. A mistyped `expire_at` must not pass."""

    # As JSON Schema, for the OpenAPI document.
    unknown_fields: ClassVar[bool | dict[str, Any]] = False

    @classmethod
    def read(cls, data: Any) -> dict[str, Any]:
        """Return the validated fields. Raises rest_framework.exceptions.ValidationError.

        One object serves all requests and keeps nothing of them, since a new one copies every field.
        """
        validated: dict[str, Any] = _shared(cls).run_validation(data)
        return validated

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise serializers.ValidationError({"body": ["The body must be a JSON object."]})
        unknown = sorted(data.keys() - self.fields.keys())
        if unknown:
            raise serializers.ValidationError(
                {_printable(name): ["Unknown field."] for name in unknown[:_SHOWN_NAMES]}
            )
        return super().to_internal_value(data)

    def __repr__(self) -> str:
        """Hide the data, which DRF's repr would show."""
        return f"<{type(self).__name__}>"


class SparseSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Output: leaves out what is unset."""

    @classmethod
    def show(cls, instance: Any) -> dict[str, Any]:
        """Return an answer's content for `instance`. One object serves all requests."""
        shown: dict[str, Any] = _shared(cls).to_representation(instance)
        return shown

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shown = {}
        for name, attribute, represent in self._plan:
            value = attribute(instance)
            if value is not None and (value := represent(value)) is not None:
                shown[name] = value
        return shown

    @cached_property
    def _plan(self) -> list[tuple[str, Callable[[Any], Any], Callable[[Any], Any]]]:
        """Return each field's name, getter and formatter, looked up once for all instances."""
        return [
            (
                name,
                attrgetter(str(field.source)) if field.source != "*" else lambda instance: instance,
                field.to_representation,
            )
            for name, field in self.fields.items()
        ]


@cache
def _shared(cls: type[serializers.Serializer[Any]]) -> Any:
    return cls()


def require_empty_body(request: Request) -> None:
    """Refuse a body where a POST takes no fields: `{"dry_run": true}` must not do the real thing.

    Raises rest_framework.exceptions.ValidationError, ParseError.
    """
    StrictSerializer.read(request.data)


def _printable(name: str) -> str:
    return name[:64].encode("unicode_escape").decode("ascii")

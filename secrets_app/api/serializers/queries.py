"""Check query parameters like bodies: unknown names and bad values are a 400."""

import re
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from secrets_app.api.serializers.base import StrictSerializer
from secrets_app.api.serializers.fields import InstantField, SecretTypeField, TextField
from secrets_app.policy.path import MAX_PATH_CHARS, PATH_REGEX
from secrets_app.services.secrets import DEFAULT_LIMIT, MAX_CURSOR_CHARS, MAX_LIMIT, NOT_A_CURSOR

_PREFIX = re.compile(rf"(?:{PATH_REGEX}/?)?")
_CURSOR = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_CURSOR_CHARS}}}")


@extend_schema_field(
    {"type": "string", "pattern": f"^{_PREFIX.pattern}$", "maxLength": MAX_PATH_CHARS}
)
class PrefixField(serializers.Field):  # type: ignore[type-arg]
    default_error_messages = {"invalid": "A prefix is the start of a path."}

    def to_internal_value(self, data: Any) -> str:
        if len(data) > MAX_PATH_CHARS or _PREFIX.fullmatch(data) is None:
            self.fail("invalid")
        return str(data)


@extend_schema_field(
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
)
class LimitField(serializers.Field):  # type: ignore[type-arg]
    default_error_messages = {"invalid": f"A limit is a whole number from 1 to {MAX_LIMIT}."}

    def to_internal_value(self, data: Any) -> int:
        if re.fullmatch(r"[1-9][0-9]{0,3}", data) is None or int(data) > MAX_LIMIT:
            self.fail("invalid")
        return int(data)


@extend_schema_field({"type": "string", "pattern": f"^{_CURSOR.pattern}$"})
class CursorField(serializers.Field):  # type: ignore[type-arg]
    """A sealed cursor. The service opens it, and answers alike where it does not open."""

    default_error_messages = {"invalid": NOT_A_CURSOR}

    def to_internal_value(self, data: Any) -> str:
        if _CURSOR.fullmatch(data) is None:
            self.fail("invalid")
        return str(data)


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": 999_999_999})
class VersionCursorField(serializers.Field):  # type: ignore[type-arg]
    default_error_messages = {"invalid": "This is not a cursor of this list."}

    def to_internal_value(self, data: Any) -> int:
        if re.fullmatch(r"[1-9][0-9]{0,8}", data) is None:
            self.fail("invalid")
        return int(data)


class ListQuerySerializer(StrictSerializer):
    prefix = PrefixField(required=False, help_text="The start of a path, with or without a slash.")
    limit = LimitField(required=False)
    cursor = CursorField(required=False, help_text="`next_cursor` of a page.")
    type = SecretTypeField(required=False)
    tag = TextField(required=False, trim_whitespace=False, help_text="One of `metadata.tags`.")
    expires_before = InstantField(required=False)


class VersionsQuerySerializer(StrictSerializer):
    limit = LimitField(required=False, default=DEFAULT_LIMIT)
    cursor = VersionCursorField(required=False, default=None, source="before")


class DeleteQuerySerializer(StrictSerializer):
    purge = serializers.ChoiceField(
        choices=["true", "false"],
        required=False,
        error_messages={"invalid_choice": "This is `true` or `false`."},
        help_text="Destroy all versions for good; for the vault's owner.",
    )


class RevokeQuerySerializer(StrictSerializer):
    keep_children = serializers.ChoiceField(
        choices=["true", "false"],
        required=False,
        error_messages={"invalid_choice": "This is `true` or `false`."},
        help_text="Leave the keys that were made with this one as they are.",
    )


def query_of(request: Request, serializer: type[StrictSerializer]) -> dict[str, Any]:
    """Return the validated query parameters. A name given twice is a 400."""
    doubled = [name for name, values in request.query_params.lists() if len(values) > 1]
    if doubled:
        raise serializers.ValidationError({"query": ["A parameter is given twice."]})
    query = serializer(data=request.query_params.dict())
    query.is_valid(raise_exception=True)
    return dict(query.validated_data)

"""OpenAPI: what drf-spectacular cannot see by itself."""

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers

from secrets_app.api.permissions import Access
from secrets_app.api.problems import CONTENT_TYPE
from secrets_app.policy.path import MAX_PATH_CHARS, PATH_REGEX

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


class ProblemSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """A problem document (RFC 9457)."""

    type = serializers.CharField(help_text="`about:blank`.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField(required=False, help_text="The id of the request, as a URN.")
    errors = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="On 400: field → messages.",
    )


_PROBLEMS = {
    400: "The path, vault id or body is not valid.",
    401: "No, malformed, expired or revoked credential.",
    403: "Neither the vault's owner nor allowed by a policy.",
    404: "There is no such vault or secret.",
    409: "The state of the resource forbids this.",
    410: "Expired, deleted, disabled, or its access count is used up.",
    412: "The secret has another version than the request expects.",
    413: "The body or value is too large.",
    415: "The body is not sent as `application/json`.",
    422: "The Idempotency-Key belongs to another request.",
    429: "Too many requests; `Retry-After` says when to come back, in seconds.",
    500: "Something failed inside; nothing was stored. `Retry-After` says when to try again.",
}


def problems(*statuses: int) -> dict[tuple[int, str], OpenApiResponse]:
    """Responses for `extend_schema`: one problem document for each status, and for 429."""
    return {
        (status, CONTENT_TYPE): OpenApiResponse(ProblemSerializer, description=_PROBLEMS[status])
        for status in sorted({*statuses, 429})
    }


VAULT_ID = OpenApiParameter("vault_id", {"type": "string", "format": "uuid"}, OpenApiParameter.PATH)
PATH = OpenApiParameter(
    "path",
    {"type": "string", "pattern": f"^{PATH_REGEX}$", "minLength": 1, "maxLength": MAX_PATH_CHARS},
    OpenApiParameter.PATH,
    description="One or more segments. `/` may be sent as it is or as `%2F`.",
)


def operation(**what: Any) -> Callable[[_Handler], _Handler]:
    """`extend_schema` on top of ApiSchema, whatever schema class the host project has set."""

    def decorate(handler: _Handler) -> _Handler:
        handler.kwargs = {"schema": ApiSchema}  # type: ignore[attr-defined]
        return extend_schema(**what)(handler)

    return decorate


ITEM_ID = OpenApiParameter("item_id", {"type": "string", "format": "uuid"}, OpenApiParameter.PATH)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="A repeat with the same key and body within 24 hours gets the first answer again.",
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description='`"<version>"` or `*`: 412 unless this is the current version.',
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    str,
    OpenApiParameter.HEADER,
    description='On GET `"<version>"` or `*`: 304 when it is the current one. On PUT `*`: create only.',
)
NUMBER = OpenApiParameter(
    "number",
    {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    OpenApiParameter.PATH,
    description="The number of a version.",
)


class ApiSchema(AutoSchema):
    """Operation ids and tags from the view; no security where an action is public."""

    view: Any

    def get_auth(self) -> list[dict[str, Any]]:
        if self.view.access.get(self.view.action) is Access.PUBLIC:
            return []
        return super().get_auth()

    def get_operation_id(self) -> str:
        return f"{self.get_tags()[0].lower()}_{self.view.action}"

    def get_tags(self) -> list[str]:
        return [getattr(self.view, "tag", "vaultsite")]

"""Tell drf-spectacular what it cannot see by itself about the API."""

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers

from secrets_app.api.permissions import Access
from secrets_app.api.problems import CONTENT_TYPE
from secrets_app.api.serializers.base import SparseSerializer, StrictSerializer
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


# Headers of answers.
_ALWAYS = (
    OpenApiParameter(
        "WWW-Authenticate", str, OpenApiParameter.HEADER, required=True, response=[401]
    ),
    OpenApiParameter(
        "Retry-After",
        {"type": "integer", "minimum": 1},
        OpenApiParameter.HEADER,
        required=True,
        response=[429],
        description="Seconds.",
    ),
    OpenApiParameter(
        "Retry-After",
        {"type": "integer", "minimum": 1},
        OpenApiParameter.HEADER,
        response=[409, 500],
        description="Seconds; absent where trying again does not help.",
    ),
)
ETAG = OpenApiParameter(
    "ETag",
    {"type": "string", "pattern": '^"[1-9][0-9]*"$'},
    OpenApiParameter.HEADER,
    required=True,
    response=[200, 201, 304],
    description="The number of the version, in quotes.",
)
UNCACHED = OpenApiParameter(
    "Cache-Control",
    {"type": "string", "enum": ["no-store"]},
    OpenApiParameter.HEADER,
    required=True,
    response=[200, 304],
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
    428: "The secret demands If-Match or If-None-Match of a write.",
    422: "The Idempotency-Key belongs to another request.",
    429: "Too many requests; `Retry-After` says when to come back, in seconds.",
    500: "Something failed inside; nothing was stored. `Retry-After` says when to try again.",
}


def problems(*statuses: int) -> dict[tuple[int, str], OpenApiResponse]:
    """Return responses for `extend_schema`: a problem document for each status, and for 429."""
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
    """Apply `extend_schema` with ApiSchema, whatever schema class the host project has set."""
    what["parameters"] = [*what.get("parameters", ()), *_ALWAYS]

    def decorate(handler: _Handler) -> _Handler:
        handler.kwargs = {"schema": ApiSchema}  # type: ignore[attr-defined]
        return extend_schema(**what)(handler)

    return decorate


ITEM_ID = OpenApiParameter("item_id", {"type": "string", "format": "uuid"}, OpenApiParameter.PATH)
AGENT_ID = OpenApiParameter("agent_id", {"type": "string", "format": "uuid"}, OpenApiParameter.PATH)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[!-~]+$", "minLength": 1, "maxLength": 255},
    OpenApiParameter.HEADER,
    description="A repeat with the same key and body within 24 hours gets the first answer again.",
)
_TAGS = r'^(\*|"[1-9][0-9]{0,8}"(, "[1-9][0-9]{0,8}")*)$'  # others are accepted, and fit no version
IF_MATCH = OpenApiParameter(
    "If-Match",
    {"type": "string", "pattern": _TAGS},
    OpenApiParameter.HEADER,
    description='`"<version>"` or `*`: 412 unless this is the current version.',
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    {"type": "string", "pattern": _TAGS},
    OpenApiParameter.HEADER,
    description='`"<version>"` or `*`: 304 when it is the current one.',
)
CREATE_ONLY = OpenApiParameter(
    "If-None-Match",
    {"type": "string", "enum": ["*"]},
    OpenApiParameter.HEADER,
    description="Create only: 412 when there is a version already.",
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

    def _is_list_view(self, serializer: Any = None) -> bool:
        """Return False: no answer is a bare array, whatever an action's name."""
        return False

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> dict[str, Any]:
        """Describe what `api/serializers/base.py` does and drf-spectacular cannot know."""
        described: dict[str, Any] = super()._map_basic_serializer(  # type: ignore[no-untyped-call]
            serializer, direction
        )
        if isinstance(serializer, StrictSerializer):
            described["additionalProperties"] = serializer.unknown_fields
            # PATCH must keep required fields required.
            required = [name for name, field in serializer.fields.items() if field.required]
            if required:
                described["required"] = sorted(required)
        if isinstance(serializer, SparseSerializer):
            for name, field in described["properties"].items():
                if "null" in field.get("type", ()):
                    (field["type"],) = [kind for kind in field["type"] if kind != "null"]
                    described["required"].remove(name)
        return described

    def get_auth(self) -> list[dict[str, Any]]:
        if self.view.access.get(self.view.action) is Access.PUBLIC:
            return []
        return super().get_auth()

    def get_operation_id(self) -> str:
        return f"{self.get_tags()[0].lower().replace(' ', '_')}_{self.view.action}"

    def get_tags(self) -> list[str]:
        return [getattr(self.view, "tag", "vaultsite")]

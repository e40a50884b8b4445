"""What every view of the API has in common. Independent of the host project's DRF settings."""

from typing import Any, ClassVar, cast

from django.http import HttpRequest
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from secrets_app.api.authentication import BearerAuthentication, parse_uuid, request_id
from secrets_app.api.json import AlwaysJSON, CompactJSONRenderer, StrictJSONParser
from secrets_app.api.permissions import Access, DeclaredAccess
from secrets_app.api.problems import problem_response
from secrets_app.api.schema import ApiSchema
from secrets_app.errors import NotFound
from secrets_app.policy.decision import Permission
from secrets_app.policy.path import parse_path
from secrets_app.services.access import Caller


class ApiViewSet(ViewSet):
    """`access` declares for each action who may use it; see `api/permissions.py`."""

    access: ClassVar[dict[str, Access | Permission]] = {}

    authentication_classes = (BearerAuthentication,)
    permission_classes = (DeclaredAccess,)
    parser_classes = (StrictJSONParser,)
    renderer_classes = (CompactJSONRenderer,)
    content_negotiation_class = AlwaysJSON
    throttle_classes = ()
    format_kwarg = None
    schema = ApiSchema()

    @property
    def caller(self) -> Caller:
        """Who is signed in; not to be asked for in a public action."""
        return cast(Caller, self.request.user)

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        drf_request = super().initialize_request(request, *args, **kwargs)
        request_id(drf_request)
        return drf_request

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """The order of judgement: 401, then a malformed URL (400), then vault and permission."""
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(
            request
        )
        self.perform_authentication(request)
        # The handler is called with these very kwargs, so it gets what was judged.
        if "vault_id" in self.kwargs:
            self.kwargs["vault_id"] = parse_uuid(self.kwargs["vault_id"])
        if "path" in self.kwargs:
            self.kwargs["path"] = parse_path(self.kwargs["path"])
        self.check_permissions(request)

    def perform_authentication(self, request: Request) -> None:
        """Skipped for public actions: a stale token sent along does not keep anybody from signing in."""
        if self.access.get(self.action or "") is not Access.PUBLIC:
            super().perform_authentication(request)

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        return Response(status=204)

    def get_exception_handler(self) -> Any:
        return problem_response

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, MethodNotAllowed):
            exc.allowed_methods = self.allowed_methods  # type: ignore[attr-defined]
        return super().handle_exception(exc)


class UnknownRoute(ApiViewSet):
    """Everything below `/v1` that is nothing else, whatever the method."""

    schema = None  # type: ignore[assignment]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound("There is no such route.")

    def missing(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Never reached; a ViewSet has to name one action."""

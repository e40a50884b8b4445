"""What every view of the API has in common. Independent of the host project's DRF settings."""

from collections.abc import Callable
from typing import Any, ClassVar, cast

from django.http import HttpRequest
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from secrets_app.api.authentication import (
    BearerAuthentication,
    parse_uuid,
    parse_version_number,
    request_id,
)
from secrets_app.api.headers import (
    CONTENT_SECURITY_POLICY,
    canonical_request,
    parse_idempotency_key,
)
from secrets_app.api.json import AlwaysJSON, CompactJSONRenderer, StrictJSONParser
from secrets_app.api.permissions import Access, DeclaredAccess
from secrets_app.api.problems import problem_response
from secrets_app.api.schema import ApiSchema
from secrets_app.conf import app_settings
from secrets_app.errors import NotFound
from secrets_app.http.throttling import count_request
from secrets_app.models.request_state import Fetch
from secrets_app.policy.decision import Permission
from secrets_app.policy.path import parse_path
from secrets_app.services.access import client_address
from secrets_app.services.caller import Caller
from secrets_app.services.transactions.idempotency import Answer, IdempotencyClaim, claim_key


class ApiViewSet(ViewSet):
    """`access` declares for each action who may use it; see `api/permissions.py`. `fetch` declares what
    comes along with the caller, in the same query."""

    access: ClassVar[dict[str, Access | Permission]] = {}
    fetch: ClassVar[dict[str, Fetch]] = {}

    authentication_classes = (BearerAuthentication,)
    permission_classes = (DeclaredAccess,)
    parser_classes: tuple[type[BaseParser], ...] = (StrictJSONParser,)
    renderer_classes = (CompactJSONRenderer,)
    content_negotiation_class = AlwaysJSON
    throttle_classes = ()
    is_sign_in = False
    format_kwarg = None
    schema = ApiSchema()

    @property
    def caller(self) -> Caller:
        """Return who is signed in. Not to be asked for in a public action."""
        return cast(Caller, self.request.user)

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        drf_request = super().initialize_request(request, *args, **kwargs)
        request_id(drf_request)
        return drf_request

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Keep the order of judgement: 401, then a malformed URL (400), then vault and permission."""
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(
            request
        )
        self.perform_authentication(request)
        self.check_rate(request)
        # The handler is called with these very kwargs, so it gets what was judged.
        if "vault_id" in self.kwargs:
            self.kwargs["vault_id"] = parse_uuid(self.kwargs["vault_id"])
        if "path" in self.kwargs:
            self.kwargs["path"] = parse_path(self.kwargs["path"])
        if "item_id" in self.kwargs:
            self.kwargs["item_id"] = parse_uuid(self.kwargs["item_id"], "id")
        if "number" in self.kwargs:
            self.kwargs["number"] = parse_version_number(self.kwargs["number"])
        self.check_permissions(request)

    def check_rate(self, request: Request) -> None:
        """Count requests for each principal, generously, and sign-ins for their address."""
        if self.access.get(self.action or "") is not Access.PUBLIC:
            count_request(app_settings.RATE_LIMIT, "principal", str(self.caller.id))
        elif self.is_sign_in:
            rate = app_settings.SIGN_IN_RATE_LIMIT
            count_request(rate, "sign-in", client_address(request) or "none")

    def perform_authentication(self, request: Request) -> None:
        """Skipped for public actions: a stale token sent along does not keep anybody from signing in."""
        if self.access.get(self.action or "") is not Access.PUBLIC:
            super().perform_authentication(request)

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        return Response(status=204)

    def once(
        self,
        request: Request,
        act: Callable[[IdempotencyClaim | None], Any],
        present: Callable[[Any], Answer],
    ) -> Response:
        """Carry out `act` and answer with what `present` makes of its result; with an
        Idempotency-Key, at most once for all repeats of the request."""
        key = request.META.get("HTTP_IDEMPOTENCY_KEY")
        if key is None:
            return _response(present(act(None)))
        once = claim_key(
            principal_id=self.caller.id,
            key=parse_idempotency_key(key),
            request=canonical_request(request),
            vault_id=self.kwargs.get("vault_id"),
            present=present,
        )
        if isinstance(once, Answer):
            return _response(once)
        try:
            result = act(once)
        except BaseException:
            once.release()
            raise
        return _response(present(result))

    @property
    def default_response_headers(self) -> dict[str, str]:
        """Add the content security policy, and `Allow` where it is asked for (RFC 9110, 10.2.1)."""
        if self.action not in (None, "metadata"):
            return CONTENT_SECURITY_POLICY
        return super().default_response_headers | CONTENT_SECURITY_POLICY

    def get_exception_handler(self) -> Any:
        return problem_response


def _response(answer: Answer) -> Response:
    return Response(answer.body, status=answer.status, headers=answer.headers)


class UnknownRoute(ApiViewSet):
    """Everything below `/v1` that is nothing else, whatever the method."""

    schema = None  # type: ignore[assignment]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound("There is no such route.")

    def missing(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Never reached; a ViewSet has to name one action."""

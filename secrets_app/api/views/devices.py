from typing import Any
from urllib.parse import urlencode

from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.authentication import anonymous
from secrets_app.api.forms import JSONOrForm, StrictFormParser
from secrets_app.api.json import StrictJSONParser
from secrets_app.api.permissions import Access
from secrets_app.api.problems import problem_response
from secrets_app.api.schema import operation, problems
from secrets_app.api.serializers.auth import SessionTokenSerializer
from secrets_app.api.serializers.devices import (
    GRANT_TYPE,
    DeviceCodeRequestSerializer,
    DeviceCodeSerializer,
    DeviceSerializer,
    DeviceTokenRequestSerializer,
    OAuthErrorSerializer,
    UserCodeSerializer,
)
from secrets_app.api.views.auth import token_response
from secrets_app.api.views.base import ApiViewSet
from secrets_app.conf import app_settings
from secrets_app.errors import OAuthError
from secrets_app.http.throttling import count_code_attempt, count_request
from secrets_app.services.access import client_address
from secrets_app.services.identity import (
    Approver,
    approve_device,
    approver_of,
    deny_device,
    look_at_device,
    poll_device,
    start_device,
)

_PROBLEMS = problems(413, 415, 500)


class DeviceViewSet(ApiViewSet):
    """The device's side of the device flow, with errors as OAuth has them (RFC 8628)."""

    tag = "Devices"
    max_body_bytes = 8 * 1024
    is_sign_in = True
    parser_classes = (StrictJSONParser, StrictFormParser)
    content_negotiation_class = JSONOrForm
    access = {"start": Access.PUBLIC, "poll": Access.PUBLIC}

    def check_rate(self, request: Request) -> None:
        """Asking again and again is how it works, and no attempt to sign in."""
        if self.action == "poll":
            count_request(app_settings.RATE_LIMIT, "poll", client_address(request) or "none")
        else:
            super().check_rate(request)

    def get_exception_handler(self) -> Any:
        return _oauth_response

    @operation(
        summary="Ask for the codes of a device",
        request=DeviceCodeRequestSerializer,
        responses={200: DeviceCodeSerializer, 400: OAuthErrorSerializer} | _PROBLEMS,
    )
    def start(self, request: Request) -> Response:
        """The device shows `user_code` and `verification_uri` to a person, and asks for its token."""
        body = DeviceCodeRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        codes = start_device(
            client_id=body.validated_data["client_id"],
            email=body.validated_data.get("email"),
            actor=anonymous(request),
        )
        page = request.build_absolute_uri(app_settings.DEVICE_PAGE)
        answer = {
            "device_code": codes.device_code,
            "user_code": codes.user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?{urlencode({'user_code': codes.user_code})}",
            "expires_in": codes.expires_in,
            "interval": codes.interval,
        }
        return Response(answer, headers={"Cache-Control": "no-store"})

    @operation(
        summary="Ask for the token of a device",
        request=DeviceTokenRequestSerializer,
        responses={200: SessionTokenSerializer, 400: OAuthErrorSerializer}
        | problems(401, 413, 415, 500),
    )
    def poll(self, request: Request) -> Response:
        """Whoever asks sooner than after `interval` seconds is told to wait five seconds longer from then
        on."""
        body = DeviceTokenRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        if body.validated_data["grant_type"] != GRANT_TYPE:
            raise OAuthError("unsupported_grant_type")
        return token_response(
            poll_device(
                device_code=body.validated_data["device_code"],
                client_id=body.validated_data.get("client_id"),
                actor=anonymous(request),
            )
        )


class DeviceApprovalViewSet(ApiViewSet):
    """The person's side of the device flow."""

    tag = "Devices"
    max_body_bytes = 8 * 1024
    access = {
        "look": Access.SIGNED_IN,
        "approve": Access.SIGNED_IN,
        "deny": Access.SIGNED_IN,
    }

    @operation(
        summary="See which device waits with a code",
        request=UserCodeSerializer,
        responses={200: DeviceSerializer} | problems(400, 401, 403, 404, 413, 415, 500),
    )
    def look(self, request: Request) -> Response:
        """POST, since codes in URLs get into logs."""
        return _shown(look_at_device(**self._asked(request)))

    @operation(
        summary="Let a device sign in as oneself",
        request=UserCodeSerializer,
        responses={200: DeviceSerializer} | problems(400, 401, 403, 404, 409, 413, 415, 500),
    )
    def approve(self, request: Request) -> Response:
        """For a token of a person's own sign-in, with the second factor where there is one."""
        return _shown(approve_device(**self._asked(request)))

    @operation(
        summary="Keep a device out",
        request=UserCodeSerializer,
        responses={200: DeviceSerializer} | problems(400, 401, 403, 404, 409, 413, 415, 500),
    )
    def deny(self, request: Request) -> Response:
        return _shown(deny_device(**self._asked(request)))

    def _asked(self, request: Request) -> dict[str, Any]:
        approver: Approver = approver_of(caller=self.caller)
        count_code_attempt(self.caller.id, client_address(request))
        body = UserCodeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return {"user_code": body.validated_data["user_code"], "approver": approver}


def _shown(device: Any) -> Response:
    return Response(DeviceSerializer(device).data, headers={"Cache-Control": "no-store"})


def _oauth_response(exc: Exception, context: dict[str, Any]) -> Response:
    """As the other problems, but a 400 is an error of OAuth (RFC 6749, 5.2)."""
    answer = problem_response(exc, context)
    if answer.status_code != 400:
        return answer
    problem: Any = answer.data
    body = {
        "error": exc.code if isinstance(exc, OAuthError) else "invalid_request",
        "error_description": problem["detail"],
    }
    if "errors" in problem:
        body["errors"] = problem["errors"]
    response = Response(body, status=400, headers={"Cache-Control": "no-store"})
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response

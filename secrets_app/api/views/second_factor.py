"""The second factor over the API: the second step of a sign-in, and one's own authenticator app."""

from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.authentication import anonymous
from secrets_app.api.headers import NO_STORE
from secrets_app.api.permissions import Access
from secrets_app.api.schema import operation, problems
from secrets_app.api.serializers.auth import SessionTokenSerializer
from secrets_app.api.serializers.base import require_empty_body
from secrets_app.api.serializers.sign_in_steps import (
    CodeSerializer,
    MfaDisableSerializer,
    MfaSetupSerializer,
    MfaStatusSerializer,
    MfaVerifySerializer,
    RecoveryCodesSerializer,
)
from secrets_app.api.views.auth import token_response
from secrets_app.api.views.base import ApiViewSet
from secrets_app.services.identity import (
    begin_app,
    confirm_app,
    is_factor_enabled,
    remove_app,
    sign_in_with_code,
)


class SecondFactorViewSet(ApiViewSet):
    tag = "Second factor"
    max_body_bytes = 64 * 1024
    is_sign_in = True
    access = {
        "verify": Access.PUBLIC,
        "status": Access.SIGNED_IN,
        "begin_setup": Access.SIGNED_IN,
        "complete_setup": Access.SIGNED_IN,
        "destroy": Access.SIGNED_IN,
    }

    @operation(
        summary="Sign in: the second step",
        request=MfaVerifySerializer,
        responses={200: SessionTokenSerializer} | problems(400, 401, 413, 415, 500),
    )
    def verify(self, request: Request) -> Response:
        """Takes a code of the authenticator app or a recovery code. After five wrong ones the `mfa_token`
        is void; each counts towards the lockout of the account from this address, as a wrong password.
        """
        body = MfaVerifySerializer.read(request.data)
        issued = sign_in_with_code(actor=anonymous(request), request=request._request, **body)
        return token_response(issued)

    @operation(
        summary="Whether you are asked for a second factor",
        responses={200: MfaStatusSerializer} | problems(401, 403, 500),
    )
    def status(self, request: Request) -> Response:
        return Response({"enabled": is_factor_enabled(caller=self.caller)})

    @operation(
        summary="Begin to set up an authenticator app",
        request=None,
        responses={200: MfaSetupSerializer} | problems(400, 401, 403, 409, 413, 415, 500),
    )
    def begin_setup(self, request: Request) -> Response:
        """Nothing changes until a code confirms it, within 15 minutes. Takes the token of a sign-in that
        began within 15 minutes."""
        require_empty_body(request)
        new = begin_app(caller=self.caller, request=request._request)
        answer = {"otpauth_uri": new.otpauth_uri, "secret": new.secret}
        return Response(answer, headers=NO_STORE)

    @operation(
        summary="Confirm an authenticator app",
        request=CodeSerializer,
        responses={200: RecoveryCodesSerializer} | problems(400, 401, 403, 409, 413, 415, 500),
    )
    def complete_setup(self, request: Request) -> Response:
        """The recovery codes are shown this once. Your sessions without a second factor end, but for
        this one."""
        body = CodeSerializer.read(request.data)
        codes = confirm_app(caller=self.caller, code=body["code"])
        return Response({"recovery_codes": list(codes)}, headers=NO_STORE)

    @operation(
        summary="Remove the authenticator app",
        request=MfaDisableSerializer,
        responses={204: None} | problems(400, 401, 403, 409, 413, 415, 500),
    )
    def destroy(self, request: Request) -> Response:
        """For a code, or for the password in a session that began with a second factor."""
        body = MfaDisableSerializer.read(request.data)
        remove_app(
            caller=self.caller,
            code=body.get("code"),
            password=body.get("password"),
            request=request._request,
        )
        return Response(status=204)

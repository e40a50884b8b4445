from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiResponse, PolymorphicProxySerializer
from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.authentication import anonymous
from secrets_app.api.permissions import Access
from secrets_app.api.schema import operation, problems
from secrets_app.api.serializers.auth import (
    AgentSignInSerializer,
    AgentTokenSerializer,
    ApiKeySignInSerializer,
    CodeAskedSerializer,
    PasswordSignInSerializer,
    PublicKeySerializer,
    RefreshedTokenSerializer,
    RefreshSerializer,
    SessionTokenSerializer,
    TokenSerializer,
)
from secrets_app.api.views.base import ApiViewSet
from secrets_app.conf import app_settings
from secrets_app.errors import InvalidInput
from secrets_app.services.identity import (
    CodeAsked,
    IssuedToken,
    key_set,
    refresh_by_access_token,
    refresh_session,
    sign_in_with_agent_key,
    sign_in_with_api_key,
    sign_in_with_assertion,
    sign_in_with_password,
    sign_out,
)

_CACHED = {"Cache-Control": "public, max-age=300"}
_SIGN_IN_PROBLEMS = problems(400, 401, 413, 415, 500)


class AuthViewSet(ApiViewSet):
    tag = "Auth"
    # Anybody may send a body here, so it is kept short.
    max_body_bytes = 64 * 1024
    is_sign_in = True
    access = {
        "with_password": Access.PUBLIC,
        "with_api_key": Access.PUBLIC,
        "with_agent_key": Access.PUBLIC,
        "refresh": Access.PUBLIC,
        "revoke": Access.SIGNED_IN,
    }

    @operation(
        summary="Sign in with e-mail and password",
        request=PasswordSignInSerializer,
        responses={
            200: PolymorphicProxySerializer(
                "PasswordSignedIn",
                [SessionTokenSerializer, CodeAskedSerializer],
                resource_type_field_name=None,
            )
        }
        | problems(400, 401, 403, 413, 415, 500),
    )
    def with_password(self, request: Request) -> Response:
        """Who has a second factor is asked for it instead: go on with the `mfa_token` at
        `/v1/auth/mfa/verify`. 403: a second factor is demanded, and there is none."""
        body = PasswordSignInSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = sign_in_with_password(
            actor=anonymous(request),
            request=request._request,
            takes_code=True,
            **body.validated_data,
        )
        if isinstance(given, CodeAsked):
            answer = {"mfa_required": True, "mfa_token": given.mfa_token}
            return Response(answer, headers={"Cache-Control": "no-store"})
        return token_response(given)

    @operation(
        summary="Exchange a personal API key for a token",
        request=ApiKeySignInSerializer,
        responses={200: TokenSerializer} | _SIGN_IN_PROBLEMS,
    )
    def with_api_key(self, request: Request) -> Response:
        body = ApiKeySignInSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return token_response(sign_in_with_api_key(actor=anonymous(request), **body.validated_data))

    @operation(
        summary="Exchange an agent's key, or a token of another issuer, for a token",
        request=AgentSignInSerializer,
        responses={200: AgentTokenSerializer} | _SIGN_IN_PROBLEMS,
    )
    def with_agent_key(self, request: Request) -> Response:
        """With `agent_id` the key must be that agent's. With `assertion` in place of `api_key`, a token of
        another issuer that one of the agent's identities accepts."""
        body = AgentSignInSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given, actor = body.validated_data, anonymous(request)
        if "assertion" in given:
            issued, agent = sign_in_with_assertion(actor=actor, **given)
        else:
            issued, agent = sign_in_with_agent_key(
                api_key=given["api_key"], agent_id=given.get("agent_id"), actor=actor
            )
        return token_response(issued, agent_id=str(agent.pk), vault_ids=agent.vault_ids)

    @operation(
        summary="Go on with a session",
        request=RefreshSerializer,
        responses={200: RefreshedTokenSerializer} | _SIGN_IN_PROBLEMS,
        auth=[{}, {"bearer": []}],
    )
    def refresh(self, request: Request) -> Response:
        """With a refresh token, which is good for one use; one that comes back ends its session. Without:
        an access token of a session gets a fresh one, unless the session's refresh token was used."""
        body = RefreshSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        refresh_token = body.validated_data.get("refresh_token")
        if refresh_token is None:
            return token_response(refresh_by_access_token(caller=self.caller))
        return token_response(
            refresh_session(refresh_token=refresh_token, actor=anonymous(request))
        )

    @operation(
        summary="Sign out: revoke the token this request is made with, and its session",
        request=None,
        responses={204: None} | problems(400, 401, 500),
    )
    def revoke(self, request: Request) -> Response:
        """They are refused from the next request on."""
        caller = self.caller
        if caller.claims is None:
            raise InvalidInput({"authorization": ["This is an API key, not a token."]})
        sign_out(claims=caller.claims, actor=caller.actor)
        return Response(status=204)


class WellKnownViewSet(ApiViewSet):
    tag = "Auth"
    access = {
        "signing_keys": Access.PUBLIC,
        "public_key": Access.PUBLIC,
        "configuration": Access.PUBLIC,
    }

    @operation(
        summary="The keys that verify tokens",
        responses={200: OpenApiResponse({"type": "object"}, description="A JWK Set (RFC 7517).")},
    )
    def signing_keys(self, request: Request) -> Response:
        return Response(key_set().jwks(), headers=_CACHED)

    @operation(
        summary="The key that signs tokens now",
        responses={200: PublicKeySerializer} | problems(500),
    )
    def public_key(self, request: Request) -> Response:
        """In PEM, for libraries that take no JWK Set."""
        return Response(key_set().public_key(), headers=_CACHED)

    @operation(
        summary="OpenID Connect discovery",
        responses={200: OpenApiResponse({"type": "object"}, description="Where the keys are.")},
    )
    def configuration(self, request: Request) -> Response:
        body = {
            "issuer": app_settings.JWT_ISSUER,
            "jwks_uri": request.build_absolute_uri("/.well-known/jwks.json"),
            "token_endpoint": request.build_absolute_uri("/v1/auth/token"),
            "id_token_signing_alg_values_supported": ["EdDSA"],
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
        }
        return Response(body, headers=_CACHED)


def token_response(issued: IssuedToken, **more: Any) -> Response:
    """The answer of every way to sign in."""
    told = {name: value for name, value in asdict(issued).items() if value is not None}
    body = told | {"token_type": "Bearer"} | more
    return Response(body, headers={"Cache-Control": "no-store"})

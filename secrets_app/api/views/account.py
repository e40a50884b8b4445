from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.permissions import Access
from secrets_app.api.schema import ITEM_ID, operation, problems
from secrets_app.api.serializers.auth import (
    AccountSerializer,
    AccountUpdateSerializer,
    ApiKeyCreateSerializer,
    ApiKeyListSerializer,
    ApiKeySerializer,
    MessageSerializer,
    NewApiKeySerializer,
    PasswordChangeSerializer,
)
from secrets_app.api.serializers.queries import RevokeQuerySerializer, query_of
from secrets_app.api.views.base import ApiViewSet
from secrets_app.services.identity import (
    change_password,
    create_api_key,
    get_account,
    list_api_keys,
    rename_account,
    require_person,
    revoke_api_key,
)


class AccountViewSet(ApiViewSet):
    tag = "Account"
    access = {
        "me": Access.SIGNED_IN,
        "rename": Access.SIGNED_IN,
        "change_password": Access.SIGNED_IN,
    }

    @operation(summary="Who asks", responses={200: AccountSerializer} | problems(401, 500))
    def me(self, request: Request) -> Response:
        return Response(AccountSerializer(get_account(caller=self.caller)).data)

    @operation(
        summary="Change the display name",
        request=AccountUpdateSerializer,
        responses={200: AccountSerializer} | problems(400, 401, 403, 413, 415, 500),
    )
    def rename(self, request: Request) -> Response:
        body = AccountUpdateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        name = body.validated_data["display_name"]
        return Response(AccountSerializer(rename_account(caller=self.caller, name=name)).data)

    @operation(
        summary="Change the password",
        request=PasswordChangeSerializer,
        responses={200: MessageSerializer} | problems(400, 401, 403, 413, 415, 500),
    )
    def change_password(self, request: Request) -> Response:
        """End every token issued so far, the one this request is made with included."""
        body = PasswordChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        change_password(
            caller=self.caller,
            current=body.validated_data["current_password"],
            new=body.validated_data["new_password"],
            request=request._request,
        )
        return Response({"message": "The password is changed. Sign in again."})


class ApiKeyViewSet(ApiViewSet):
    """Keys of people; an agent's key is rotated with the agent."""

    tag = "API keys"
    access = {
        "create": Access.SIGNED_IN,
        "list": Access.SIGNED_IN,
        "destroy": Access.SIGNED_IN,
    }

    @operation(
        summary="Make an API key",
        request=ApiKeyCreateSerializer,
        responses={201: NewApiKeySerializer} | problems(400, 401, 403, 413, 415, 500),
    )
    def create(self, request: Request) -> Response:
        """Its text is shown this once. It lasts no longer than the key that the caller signed in with, and
        is revoked with it. An Idempotency-Key is not looked at: keys are kept nowhere."""
        principal = require_person(self.caller, "key.create")
        body = ApiKeyCreateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        key, raw = create_api_key(
            principal=principal,
            actor=self.caller.actor,
            parent_id=self.caller.api_key_id,
            **body.validated_data,
        )
        answer = {"key": ApiKeySerializer(key).data, "api_key": raw}
        return Response(answer, status=201, headers={"Cache-Control": "no-store"})

    @operation(summary="List API keys", responses={200: ApiKeyListSerializer} | problems(401, 500))
    def list(self, request: Request) -> Response:
        keys = list_api_keys(principal_id=self.caller.id)
        return Response({"keys": ApiKeySerializer(keys, many=True).data})

    @operation(
        summary="Revoke an API key",
        parameters=[ITEM_ID, RevokeQuerySerializer],
        request=None,
        responses={204: None} | problems(400, 401, 403, 404, 500),
    )
    def destroy(self, request: Request, item_id: UUID) -> Response:
        """It, the tokens and the keys made with it are refused from the next request on."""
        require_person(self.caller, "key.revoke")
        query = query_of(request, RevokeQuerySerializer)
        revoke_api_key(
            key_id=item_id,
            principal_id=self.caller.id,
            actor=self.caller.actor,
            keep_children=query.get("keep_children") == "true",
        )
        return Response(status=204)

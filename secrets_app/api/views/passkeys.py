"""Passkeys, as the document of the API family has them."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.authentication import anonymous
from secrets_app.api.headers import NO_STORE
from secrets_app.api.permissions import Access
from secrets_app.api.schema import ITEM_ID, operation, problems
from secrets_app.api.serializers.auth import AccountSerializer, MessageSerializer
from secrets_app.api.serializers.base import require_empty_body
from secrets_app.api.serializers.sign_in_steps import (
    AssertionBeginSerializer,
    AssertionOptionsSerializer,
    AssertionSerializer,
    NewPasskeySerializer,
    PasskeyListSerializer,
    PasskeySerializer,
    PasskeySignInSerializer,
    RegistrationOptionsSerializer,
    RegistrationSerializer,
)
from secrets_app.api.views.auth import token_response
from secrets_app.api.views.base import ApiViewSet
from secrets_app.services.identity import (
    begin_assertion,
    begin_registration,
    complete_registration,
    list_passkeys,
    remove_passkey,
    sign_in_with_passkey,
)


class PasskeyViewSet(ApiViewSet):
    tag = "Passkeys"
    max_body_bytes = 64 * 1024
    is_sign_in = True
    access = {
        "register_begin": Access.SIGNED_IN,
        "register_complete": Access.SIGNED_IN,
        "assert_begin": Access.PUBLIC,
        "assert_complete": Access.PUBLIC,
        "list": Access.SIGNED_IN,
        "destroy": Access.SIGNED_IN,
    }

    @operation(
        summary="Begin to make a passkey",
        request=None,
        responses={200: RegistrationOptionsSerializer}
        | problems(400, 401, 403, 409, 413, 415, 500),
    )
    def register_begin(self, request: Request) -> Response:
        """For `navigator.credentials.create`, within five minutes. Takes the token of a sign-in that began
        within 15 minutes, with the second factor where there is one."""
        require_empty_body(request)
        options = begin_registration(caller=self.caller, request=request._request)
        return Response(options, headers=NO_STORE)

    @operation(
        summary="Keep a passkey",
        request=RegistrationSerializer,
        responses={201: NewPasskeySerializer} | problems(400, 401, 403, 409, 413, 415, 500),
    )
    def register_complete(self, request: Request) -> Response:
        """It is a second factor from then on. `recovery_codes` come with your first one, this once."""
        body = RegistrationSerializer.read(request.data)
        name = body.pop("name", "")
        new = complete_registration(
            caller=self.caller, response=body, name=name, request=request._request
        )
        return Response(NewPasskeySerializer.show(new), status=201, headers=NO_STORE)

    @operation(
        summary="Begin to sign in by a passkey",
        request=AssertionBeginSerializer,
        responses={200: AssertionOptionsSerializer} | problems(400, 409, 413, 415, 500),
    )
    def assert_begin(self, request: Request) -> Response:
        """For `navigator.credentials.get`, within five minutes. The answer says nothing about anybody."""
        AssertionBeginSerializer.read(request.data)
        return Response(begin_assertion(request=request._request), headers=NO_STORE)

    @operation(
        summary="Sign in by a passkey",
        request=AssertionSerializer,
        responses={200: PasskeySignInSerializer} | problems(400, 401, 413, 415, 500),
    )
    def assert_complete(self, request: Request) -> Response:
        body = AssertionSerializer.read(request.data)
        issued, principal = sign_in_with_passkey(
            response=body, actor=anonymous(request), request=request._request
        )
        return token_response(
            issued, token=issued.access_token, user=AccountSerializer(principal).data
        )

    @operation(
        summary="List your passkeys",
        responses={200: PasskeyListSerializer} | problems(401, 403, 500),
    )
    def list(self, request: Request) -> Response:
        found = [PasskeySerializer.show(each) for each in list_passkeys(caller=self.caller)]
        return Response({"passkeys": found})

    @operation(
        summary="Remove a passkey",
        parameters=[ITEM_ID],
        request=None,
        responses={200: MessageSerializer} | problems(400, 401, 403, 404, 409, 500),
    )
    def destroy(self, request: Request, item_id: UUID) -> Response:
        """It signs nobody in any more. Takes the token of a sign-in that began within 15 minutes."""
        remove_passkey(caller=self.caller, passkey_id=item_id)
        return Response({"message": "The passkey is removed."})

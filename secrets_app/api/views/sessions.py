from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.permissions import Access
from secrets_app.api.schema import ITEM_ID, operation, problems
from secrets_app.api.serializers.auth import SessionListSerializer, SessionSerializer
from secrets_app.api.views.base import ApiViewSet
from secrets_app.services.identity import (
    end_session_by_id,
    end_tokens,
    list_sessions,
    require_person,
)


class SessionViewSet(ApiViewSet):
    """Where a person is signed in to the API. Sessions of the pages are on the pages."""

    tag = "Sessions"
    access = {
        "list": Access.SIGNED_IN,
        "destroy": Access.SIGNED_IN,
        "destroy_all": Access.SIGNED_IN,
    }

    @operation(
        summary="List one's sessions",
        responses={200: SessionListSerializer} | problems(401, 403, 500),
    )
    def list(self, request: Request) -> Response:
        """Those that have not ended, newest first."""
        require_person(self.caller, "auth.session_list")
        claims = self.caller.claims
        context = {"current": None if claims is None else claims.session}
        found = list_sessions(principal_id=self.caller.id)
        return Response({"sessions": SessionSerializer(found, many=True, context=context).data})

    @operation(
        summary="End a session",
        parameters=[ITEM_ID],
        request=None,
        responses={204: None} | problems(400, 401, 403, 404, 500),
    )
    def destroy(self, request: Request, item_id: UUID) -> Response:
        """Its tokens are refused from the next request on. To repeat this is no error."""
        require_person(self.caller, "auth.session_end")
        end_session_by_id(session_id=item_id, principal_id=self.caller.id, actor=self.caller.actor)
        return Response(status=204)

    @operation(
        summary="End all one's sessions and tokens",
        request=None,
        responses={204: None} | problems(401, 403, 500),
    )
    def destroy_all(self, request: Request) -> Response:
        """Those of the pages too, and the token this request is made with. API keys stay."""
        require_person(self.caller, "auth.revoke_all")
        end_tokens(principal_id=self.caller.id, actor=self.caller.actor)
        return Response(status=204)

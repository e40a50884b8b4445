from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.authentication import parse_uuid
from secrets_app.api.permissions import Access
from secrets_app.api.schema import AGENT_ID, ITEM_ID, operation, problems
from secrets_app.api.serializers.agent_identities import (
    IdentityCreateSerializer,
    IdentityListSerializer,
    IdentitySerializer,
)
from secrets_app.api.views.base import ApiViewSet
from secrets_app.services.identity import (
    create_identity,
    delete_identity,
    get_identity,
    list_identities,
)


class AgentIdentityViewSet(ApiViewSet):
    """The owner of an agent says which tokens of other issuers may sign in as it."""

    tag = "Agent identities"
    max_body_bytes = 64 * 1024
    access = {
        "create": Access.SIGNED_IN,
        "list": Access.SIGNED_IN,
        "retrieve": Access.SIGNED_IN,
        "destroy": Access.SIGNED_IN,
    }

    def check_permissions(self, request: Request) -> None:
        # The other id of the URL is parsed by the base, and a malformed one is a 400 just like it.
        self.kwargs["agent_id"] = parse_uuid(self.kwargs["agent_id"], "id")
        super().check_permissions(request)

    @operation(
        summary="Let tokens of another issuer sign in as an agent",
        parameters=[AGENT_ID],
        request=IdentityCreateSerializer,
        responses={201: IdentitySerializer} | problems(400, 401, 404, 409, 413, 415, 500),
    )
    def create(self, request: Request, agent_id: UUID) -> Response:
        """Keys come from `jwks`, from `jwks_url`, or from where the issuer's discovery document says."""
        body = IdentityCreateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        new = body.to_identity()
        identity = create_identity(caller=self.caller, agent_id=agent_id, new=new)
        return Response(IdentitySerializer.show(identity), status=201)

    @operation(
        summary="List an agent's identities",
        parameters=[AGENT_ID],
        responses={200: IdentityListSerializer} | problems(400, 401, 404, 500),
    )
    def list(self, request: Request, agent_id: UUID) -> Response:
        """For its owner, and for the agent itself."""
        found = list_identities(caller=self.caller, agent_id=agent_id)
        return Response({"identities": [IdentitySerializer.show(each) for each in found]})

    @operation(
        summary="Look at an identity",
        parameters=[AGENT_ID, ITEM_ID],
        responses={200: IdentitySerializer} | problems(400, 401, 404, 500),
    )
    def retrieve(self, request: Request, agent_id: UUID, item_id: UUID) -> Response:
        identity = get_identity(caller=self.caller, agent_id=agent_id, identity_id=item_id)
        return Response(IdentitySerializer.show(identity))

    @operation(
        summary="Delete an identity",
        parameters=[AGENT_ID, ITEM_ID],
        request=None,
        responses={204: None} | problems(400, 401, 404, 500),
    )
    def destroy(self, request: Request, agent_id: UUID, item_id: UUID) -> Response:
        """Tokens that were given out for it are refused from the next request on."""
        delete_identity(caller=self.caller, agent_id=agent_id, identity_id=item_id)
        return Response(status=204)

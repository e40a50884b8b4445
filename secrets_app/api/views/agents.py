from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.permissions import Access
from secrets_app.api.schema import ITEM_ID, operation, problems
from secrets_app.api.serializers.agents import (
    AgentCreateSerializer,
    AgentListSerializer,
    AgentSerializer,
    AgentUpdateSerializer,
    AgentWithKeySerializer,
)
from secrets_app.api.serializers.base import require_empty_body
from secrets_app.api.serializers.fields import InstantField
from secrets_app.api.views.base import ApiViewSet
from secrets_app.models import Agent, ApiKey
from secrets_app.services.identity import (
    deactivate_agent,
    get_agent,
    get_own_agent,
    list_agents,
    register_agent,
    require_person,
    rotate_agent_key,
    update_agent,
)


class AgentViewSet(ApiViewSet):
    """A person looks after the agents it has registered; others are not there for it."""

    tag = "Agents"
    access = {
        "create": Access.SIGNED_IN,
        "list": Access.SIGNED_IN,
        "retrieve": Access.SIGNED_IN,
        "me": Access.SIGNED_IN,
        "update": Access.SIGNED_IN,
        "destroy": Access.SIGNED_IN,
        "rotate_key": Access.SIGNED_IN,
    }

    @operation(
        summary="Register an agent",
        request=AgentCreateSerializer,
        responses={201: AgentWithKeySerializer} | problems(400, 401, 403, 413, 415, 500),
    )
    def create(self, request: Request) -> Response:
        """For a person. An Idempotency-Key is not looked at: keys are kept nowhere."""
        owner = require_person(self.caller, "agent.register")
        body = AgentCreateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        agent, key, raw = register_agent(
            owner=owner,
            new=body.to_agent(),
            actor=self.caller.actor,
            parent_id=self.caller.api_key_id,
        )
        return _with_key(agent, key, raw, 201)

    @operation(summary="List agents", responses={200: AgentListSerializer} | problems(401, 500))
    def list(self, request: Request) -> Response:
        """List those the caller has registered."""
        agents = list_agents(caller=self.caller)
        return Response({"agents": AgentSerializer(agents, many=True).data})

    @operation(
        summary="Look at an agent",
        parameters=[ITEM_ID],
        responses={200: AgentSerializer} | problems(400, 401, 404, 500),
    )
    def retrieve(self, request: Request, item_id: UUID) -> Response:
        agent = get_agent(caller=self.caller, agent_id=item_id)
        return Response(AgentSerializer(agent).data)

    @operation(
        summary="The agent that asks", responses={200: AgentSerializer} | problems(401, 403, 500)
    )
    def me(self, request: Request) -> Response:
        return Response(AgentSerializer(get_own_agent(caller=self.caller)).data)

    @operation(
        summary="Change an agent",
        parameters=[ITEM_ID],
        request=AgentUpdateSerializer,
        responses={200: AgentSerializer} | problems(400, 401, 404, 413, 415, 500),
    )
    def update(self, request: Request, item_id: UUID) -> Response:
        """What is left out stays; null takes the expiry away."""
        body = AgentUpdateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        agent = update_agent(caller=self.caller, agent_id=item_id, changes=body.validated_data)
        return Response(AgentSerializer(agent).data)

    @operation(
        summary="Deactivate an agent",
        parameters=[ITEM_ID],
        request=None,
        responses={204: None} | problems(400, 401, 404, 500),
    )
    def destroy(self, request: Request, item_id: UUID) -> Response:
        """Refuse its keys and tokens from the next request on."""
        deactivate_agent(agent_id=item_id, owner_id=self.caller.id, actor=self.caller.actor)
        return Response(status=204)

    @operation(
        summary="Give an agent a new key",
        parameters=[ITEM_ID],
        request=None,
        responses={200: AgentWithKeySerializer} | problems(400, 401, 404, 500),
    )
    def rotate_key(self, request: Request, item_id: UUID) -> Response:
        """The old one dies at once, and the tokens made with it."""
        require_empty_body(request)
        agent, key, raw = rotate_agent_key(caller=self.caller, agent_id=item_id)
        return _with_key(agent, key, raw, 200)


def _with_key(agent: Agent, key: ApiKey, raw: str, status: int) -> Response:
    body = {"agent": AgentSerializer(agent).data, "api_key": raw}
    if key.expires_at is not None:
        body["api_key_expires_at"] = InstantField().to_representation(key.expires_at)
    return Response(body, status=status, headers={"Cache-Control": "no-store"})

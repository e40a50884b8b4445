"""Agents: registered, looked after and deactivated by a person."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from secrets_app.errors import Conflict, Forbidden, InvalidInput
from secrets_app.models import Agent, ApiKey, Principal
from secrets_app.services.access.active import why_inactive
from secrets_app.services.access.authorization import deny
from secrets_app.services.access.refusals import refuse_as_unknown
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Actor, Caller
from secrets_app.services.identity.api_keys import create_api_key, lock_parent

DEFAULT_TTL_S, MIN_TTL_S, MAX_TTL_S = 3600, 60, 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAgent:
    """`token_ttl_seconds` in seconds; an empty list of vaults means no restriction."""

    name: str
    description: str = ""
    expires_at: datetime | None = None
    token_ttl_seconds: int = DEFAULT_TTL_S
    vault_ids: tuple[UUID, ...] = ()
    api_key_expires_at: datetime | None = None


def register_agent(
    *, owner: Principal, new: NewAgent, actor: Actor, parent_id: UUID | None = None
) -> tuple[Agent, ApiKey, str]:
    """Make an agent with its first key. The key's text cannot be had again.

    `parent_id`: the key that the caller signed in with. The agent's key ends with it.
    Raises InvalidInput, Unauthenticated, as `create_api_key` does.
    """
    with transaction.atomic():
        principal = Principal.objects.create(
            kind=Principal.Kind.AGENT, name=new.name, expires_at=new.expires_at
        )
        agent = Agent.objects.create(
            principal=principal,
            owner=owner,
            description=new.description,
            token_ttl_seconds=new.token_ttl_seconds,
            vault_ids=[str(vault_id) for vault_id in new.vault_ids],
        )
        try:
            key, raw = create_api_key(
                principal=principal,
                name="agent",
                actor=actor,
                expires_at=new.api_key_expires_at,
                parent_id=parent_id,
            )
        except InvalidInput as error:
            raise InvalidInput({"api_key_expires_at": error.errors["expires_at"]}) from None
        record("agent.register", SUCCESS, actor=actor, resource=_resource(agent))
    return agent, key, raw


def require_person(caller: Caller, action: str) -> Principal:
    """The caller's principal, when it is a person. Raises Forbidden with an audit event."""
    if caller.kind != Principal.Kind.USER:
        deny(caller, action, Resource(action.partition(".")[0]), {"reason": "not_a_person"})
    return Principal.objects.get(pk=caller.id)


def list_agents(*, caller: Caller) -> QuerySet[Agent]:
    """Those the caller has registered, oldest first."""
    return _agents().filter(owner_id=caller.id).order_by("principal__created_at", "pk")


def get_agent(*, caller: Caller, agent_id: UUID) -> Agent:
    """An agent of the caller's, or the caller itself. Raises NotFound, with an event."""
    agent = _agents().filter(pk=agent_id).first()
    if agent is None or caller.id not in (agent.owner_id, agent.pk):
        _refuse("agent.read", agent_id, caller.actor)
    return agent


def get_own_agent(*, caller: Caller) -> Agent:
    """The agent that is calling. Raises Forbidden for a person."""
    agent = _agents().filter(pk=caller.id).first()
    if agent is None:
        raise Forbidden("Only an agent has itself.")
    return agent


def update_agent(*, caller: Caller, agent_id: UUID, changes: dict[str, Any]) -> Agent:
    """Change an agent of the caller's, from its next request on. Raises NotFound."""
    with _changing("agent.update", agent_id, caller.id, caller.actor) as agent:
        for name in ("name", "expires_at"):
            if name in changes:
                setattr(agent.principal, name, changes[name])
        for name in ("description", "token_ttl_seconds"):
            if name in changes:
                setattr(agent, name, changes[name])
        if "vault_ids" in changes:
            agent.vault_ids = [str(vault_id) for vault_id in changes["vault_ids"]]
        agent.principal.save()
        agent.save()
        details = {"changed": sorted(changes)}
        record(
            "agent.update", SUCCESS, actor=caller.actor, resource=_resource(agent), details=details
        )
    return agent


def deactivate_agent(*, agent_id: UUID, owner_id: UUID | None, actor: Actor) -> None:
    """End an agent with its tokens and keys, from its next request on.

    `owner_id` None is for operators: anybody's agent. Raises NotFound.
    """
    with _changing("agent.deactivate", agent_id, owner_id, actor) as agent:
        agent.principal.is_active = False
        agent.principal.token_generation += 1
        agent.principal.save()
        _revoke_keys(agent)
        record("agent.deactivate", SUCCESS, actor=actor, resource=_resource(agent))


def rotate_agent_key(*, caller: Caller, agent_id: UUID) -> tuple[Agent, ApiKey, str]:
    """Give an agent a new key; the old one and its tokens die at once. Raises NotFound, Unauthenticated.

    The key's text cannot be had again.
    """
    with _changing("agent.rotate_key", agent_id, caller.id, caller.actor) as agent:
        # Before the agent's own keys: whoever revokes locks in this order, too.
        lock_parent(caller.api_key_id)
        _revoke_keys(agent)
        key, raw = create_api_key(
            principal=agent.principal,
            name="agent",
            actor=caller.actor,
            parent_id=caller.api_key_id,
        )
        record("agent.rotate_key", SUCCESS, actor=caller.actor, resource=_resource(agent))
    return agent, key, raw


def hand_over_agent(*, agent_id: UUID, to: Principal, actor: Actor) -> None:
    """Give an agent to another person, for operators. Keys, tokens and policies stay as they are.

    The new owner can give it a new key, and so act as it: this gives away all that the agent may do.
    Raises NotFound, Conflict when the person may not sign in or the actor would give it to itself.
    """
    if to.kind != Principal.Kind.USER or why_inactive(to, now=timezone.now()) is not None:
        raise Conflict("An agent belongs to a person who may sign in.")
    if to.pk == actor.id:
        raise Conflict("Nobody hands an agent over to themselves.")
    with _changing("agent.hand_over", agent_id, None, actor) as agent:
        details = {"from": str(agent.owner_id), "to": str(to.pk)}
        agent.owner = to
        agent.save(update_fields=["owner"])
        record("agent.hand_over", SUCCESS, actor=actor, resource=_resource(agent), details=details)


def agents_of(*, owner_id: UUID) -> QuerySet[Agent]:
    """A person's agents that are not deactivated, oldest first."""
    agents = _agents().filter(owner_id=owner_id, principal__is_active=True)
    return agents.order_by("principal__created_at", "pk")


def count_stopped(*, now: datetime) -> int:
    """How many agents are not deactivated, but do not work since their owner may not sign in."""
    out = (
        Q(owner__is_active=False)
        | Q(owner__user__is_active=False)
        | Q(owner__user__isnull=True)
        | Q(owner__expires_at__lte=now)
    )
    return Agent.objects.filter(out, principal__is_active=True).count()


def _agents() -> QuerySet[Agent]:
    return Agent.objects.select_related("principal", "owner")


@contextmanager
def _changing(action: str, agent_id: UUID, owner_id: UUID | None, actor: Actor) -> Iterator[Agent]:
    """A transaction with a locked agent, of one owner or of anybody. Raises NotFound, with an event."""
    with transaction.atomic():
        agents = _agents().select_for_update(of=("self", "principal")).filter(pk=agent_id)
        agent = (agents if owner_id is None else agents.filter(owner_id=owner_id)).first()
        if agent is not None:
            yield agent
    if agent is None:
        _refuse(action, agent_id, actor)


def _refuse(action: str, agent_id: UUID, actor: Actor) -> NoReturn:
    resource = Resource("agent", agent_id)
    refuse_as_unknown(action, actor=actor, resource=resource, detail="There is no such agent.")


def _revoke_keys(agent: Agent) -> None:
    ApiKey.objects.filter(principal_id=agent.pk, revoked_at__isnull=True).update(
        revoked_at=timezone.now()
    )


def _resource(agent: Agent) -> Resource:
    return Resource("agent", agent.pk)

"""Identities of agents: which tokens of other issuers may sign in as one. Their owner looks after them."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from secrets_app.conf import app_settings
from secrets_app.errors import Conflict, InvalidInput, NotFound, OutboundError
from secrets_app.federation.claims import problems_of
from secrets_app.federation.issuers import DISCOVERY
from secrets_app.federation.key_sets import KeySetError, parse_key_set
from secrets_app.models import Agent, AgentIdentity
from secrets_app.outbound import parse_url
from secrets_app.services.access.refusals import refuse_as_unknown
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Caller
from secrets_app.services.identity.agents import get_agent
from secrets_app.services.identity.api_keys import lock_parent
from secrets_app.services.identity.identity_ends import end_identities

DEFAULT_AGE_S, MIN_AGE_S, MAX_AGE_S = 600, 10, 86_400
MOST_IDENTITIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIdentity:
    """`claims`: claim → pattern. `max_age_seconds`: how long ago a token may have been issued, in seconds.

    At most one of `jwks_url` and `jwks`; with neither the issuer's discovery document names its keys.
    """

    name: str
    issuer: str
    audience: str
    claims: dict[str, str]
    jwks_url: str = ""
    jwks: dict[str, Any] | None = field(default=None, repr=False)
    max_age_seconds: int = DEFAULT_AGE_S
    single_use: bool = False


def create_identity(*, caller: Caller, agent_id: UUID, new: NewIdentity) -> AgentIdentity:
    """Let tokens of another issuer sign in as an agent of the caller's. Nobody is asked for keys yet.

    It ends with the API key that the caller signed in with. Raises NotFound, with an event, InvalidInput,
    Conflict when the agent has as many as it may, Unauthenticated as `create_api_key` does.
    """
    with transaction.atomic():
        agents = Agent.objects.select_for_update(of=("self",))
        agent = agents.filter(pk=agent_id, owner_id=caller.id).first()
        if agent is not None:
            jwks = _check(new)
            if agent.identities.count() >= MOST_IDENTITIES:
                raise Conflict(f"An agent has at most {MOST_IDENTITIES} identities.")
            identity = AgentIdentity.objects.create(
                agent=agent,
                parent_id=caller.api_key_id,
                name=new.name,
                issuer=new.issuer,
                audience=new.audience,
                claims=new.claims,
                jwks_url=new.jwks_url,
                jwks=jwks,
                max_age_seconds=new.max_age_seconds,
                single_use=new.single_use,
                expires_at=lock_parent(caller.api_key_id),
            )
            record(
                "agent_identity.create",
                SUCCESS,
                actor=caller.actor,
                resource=_resource(identity.pk),
                details={"agent_id": str(agent_id)},
            )
            return identity
    return refuse_as_unknown(
        "agent_identity.create",
        actor=caller.actor,
        resource=Resource("agent", agent_id),
        detail="There is no such agent.",
    )


def list_identities(*, caller: Caller, agent_id: UUID) -> QuerySet[AgentIdentity]:
    """Those of an agent, to its owner and to itself, oldest first. Raises NotFound, with an event."""
    agent = get_agent(caller=caller, agent_id=agent_id)
    return AgentIdentity.objects.filter(agent_id=agent.pk).order_by("created_at", "pk")


def get_identity(*, caller: Caller, agent_id: UUID, identity_id: UUID) -> AgentIdentity:
    """One of them. Raises NotFound, and for somebody else's agent with an event."""
    found = list_identities(caller=caller, agent_id=agent_id).filter(pk=identity_id).first()
    if found is None:
        raise NotFound("There is no such identity.")
    return found


def delete_identity(*, caller: Caller, agent_id: UUID, identity_id: UUID) -> None:
    """Delete an identity of an agent of the caller's, and end the tokens that were given out for it, from
    the next request on. Raises NotFound, and with an event where the agent is not the caller's.
    """
    is_owner = Agent.objects.filter(pk=agent_id, owner_id=caller.id).exists()
    if is_owner:
        with transaction.atomic():
            theirs = AgentIdentity.objects.filter(
                pk=identity_id, agent_id=agent_id, agent__owner_id=caller.id
            )
            if end_identities(theirs, now=timezone.now()):
                record(
                    "agent_identity.delete",
                    SUCCESS,
                    actor=caller.actor,
                    resource=_resource(identity_id),
                    details={"agent_id": str(agent_id)},
                )
                return
        raise NotFound("There is no such identity.")
    refuse_as_unknown(
        "agent_identity.delete",
        actor=caller.actor,
        resource=_resource(identity_id),
        detail="There is no such agent.",
    )


def _check(new: NewIdentity) -> dict[str, Any] | None:
    """The keys that the identity brings along, without what verifies nothing. Raises InvalidInput."""
    if new.jwks_url and new.jwks is not None:
        raise InvalidInput({"jwks": ["Give `jwks_url` or `jwks`, not both."]})
    problems = problems_of(new.issuer, new.claims)
    if problems:
        raise InvalidInput({"claims": problems})
    if new.jwks is not None:
        try:
            keys = parse_key_set(new.jwks).public
        except KeySetError as error:
            raise InvalidInput({"jwks": [str(error)]}) from None
        if not keys:
            raise InvalidInput(
                {"jwks": ["No key of this set can verify RS256, PS256, ES256 or EdDSA."]}
            )
        return {"keys": keys}
    if new.jwks_url:
        _check_url("jwks_url", new.jwks_url)
    else:
        is_trusted = new.issuer in app_settings.FEDERATION_ISSUERS
        _check_url("issuer", new.issuer, suffix=DISCOVERY, any_port=is_trusted)
    return None


def _check_url(name: str, url: str, *, suffix: str = "", any_port: bool = False) -> None:
    try:
        if suffix and "?" in url:
            raise OutboundError("malformed_url")
        parse_url(url.removesuffix("/") + suffix, any_port=any_port)
    except OutboundError as error:
        message = "This must be an https URL: a host name, no user, no fragment."
        if error.reason == "port_not_allowed":
            message = "Only port 443 is asked, unless FEDERATION_ISSUERS names the issuer."
        if suffix:
            message += " For any other issuer give `jwks_url` or `jwks`."
        raise InvalidInput({name: [message]}) from None


def _resource(identity_id: UUID) -> Resource:
    return Resource("agent_identity", identity_id)

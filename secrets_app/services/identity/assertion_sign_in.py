"""Signing in as an agent with a token of another issuer: no stored key, so none to steal.

What needs no key is judged first: form, times, issuer, audience, claims. So keys are fetched only for what
might be a token of a workload that the agent's owner named.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from secrets_app.conf import app_settings
from secrets_app.errors import IssuerUnavailable, Unauthenticated
from secrets_app.federation.assertion import Assertion, check_signature, read_assertion
from secrets_app.federation.claims import all_fit
from secrets_app.federation.issuers import KeySource, issuer_keys
from secrets_app.federation.key_sets import parse_key_set
from secrets_app.models import Agent, AgentIdentity, AssertionUse, Principal
from secrets_app.readable import is_readable
from secrets_app.services.access.active import WITH_OWNER, why_inactive
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.audit.failures import record_failure
from secrets_app.services.caller import Actor
from secrets_app.services.identity.tokens import IssuedToken, issue_token, read_token

METHOD = "assertion"
_MAX_ROLE_CHARS = 255


def sign_in_with_assertion(
    *, agent_id: UUID, assertion: str, actor: Actor
) -> tuple[IssuedToken, Agent]:
    """Exchange a token of another issuer for one of ours, narrowed to the agent's vaults and lifetime.

    It ends with the identity that let it in, with the agent and with its owner; not with the other token,
    which is often made for minutes. Raises Unauthenticated, the same for every reason, IssuerUnavailable
    while an issuer's keys cannot be had, TooManyRequests.
    """
    agent = _agents().filter(pk=agent_id).first()
    return _sign_in(agent, assertion, actor)


def sign_in_by_role(*, role: str, assertion: str, actor: Actor) -> tuple[IssuedToken, Agent]:
    """The same for an agent by its id, or by its name where no other active one has it."""
    found = []
    if len(role) <= _MAX_ROLE_CHARS and is_readable(role, allow_newlines=False):
        try:
            wanted = Q(pk=UUID(role))
        except ValueError:
            wanted = Q(principal__name=role, principal__is_active=True)
        found = list(_agents().filter(wanted)[:2])
    return _sign_in(found[0] if len(found) == 1 else None, assertion, actor)


def _agents() -> Any:
    return Agent.objects.select_related(*(f"principal__{name}" for name in WITH_OWNER))


def _sign_in(agent: Agent | None, assertion: str, actor: Actor) -> tuple[IssuedToken, Agent]:
    if agent is not None:
        actor = replace(actor, id=agent.pk, type=Principal.Kind.AGENT.value)
    try:
        read = read_assertion(assertion, now=timezone.now().timestamp())
        if agent is None:
            raise Unauthenticated("unknown_agent")
        reason = why_inactive(agent.principal, now=timezone.now())
        if reason is not None:
            raise Unauthenticated(reason)
        identity = _proven(agent, read)
        return _accept(agent, identity, read, actor), agent
    except (Unauthenticated, IssuerUnavailable) as refusal:
        away = "issuer_" if isinstance(refusal, IssuerUnavailable) else ""
        record_failure(
            "auth.failure",
            actor=actor,
            resource=Resource("principal", None if agent is None else agent.pk),
            details={"method": METHOD, "reason": away + refusal.reason},
        )
        raise


def _proven(agent: Agent, read: Assertion) -> AgentIdentity:
    """The agent's identity that a token is a valid one of. Raises Unauthenticated, IssuerUnavailable."""
    now = timezone.now()
    found = list(agent.identities.order_by("created_at", "pk"))
    # One issuer may be named by many; each sieve says what was wrong with the last that got there.
    found = _sieve("unknown_issuer", [each for each in found if each.issuer == read.issuer])
    found = _sieve("other_audience", [each for each in found if read.has_audience(each.audience)])
    found = _sieve("other_claims", [each for each in found if all_fit(each.claims, read.claims)])
    age_s = now.timestamp() - read.issued_at
    found = _sieve("too_old", [each for each in found if age_s <= each.max_age_seconds])
    found = _sieve(
        "expired_identity",
        [each for each in found if each.expires_at is None or each.expires_at > now],
    )
    refusals: list[Unauthenticated | IssuerUnavailable] = []
    for identity in found:
        try:
            check_signature(read, _key(identity, read, holder=agent.owner_id))
        except (Unauthenticated, IssuerUnavailable) as refusal:
            refusals.append(refusal)
        else:
            return identity
    raise next((each for each in refusals if isinstance(each, IssuerUnavailable)), refusals[0])


def _sieve(reason: str, found: Sequence[AgentIdentity]) -> list[AgentIdentity]:
    if not found:
        raise Unauthenticated(reason)
    return list(found)


def _key(identity: AgentIdentity, read: Assertion, *, holder: UUID) -> Any:
    if identity.jwks is not None:
        key = parse_key_set(identity.jwks).find(read.kid, read.algorithm)
        if key is None:
            raise Unauthenticated("unknown_key")
        return key
    source = key_source(identity.issuer, identity.jwks_url)
    return issuer_keys.find(source, read.kid, read.algorithm, holder=holder)


def key_source(issuer: str, jwks_url: str = "") -> KeySource:
    """Where an issuer's keys are. What FEDERATION_ISSUERS says of it does not hold for a URL that somebody
    else gave."""
    if jwks_url:
        return KeySource(issuer, jwks_url=jwks_url)
    trusted = app_settings.FEDERATION_ISSUERS
    return KeySource(issuer, is_trusted=issuer in trusted, ca_file=trusted.get(issuer))


def _accept(agent: Agent, identity: AgentIdentity, read: Assertion, actor: Actor) -> IssuedToken:
    issued = issue_token(
        principal=agent.principal,
        api_key=None,
        lifetime_s=agent.token_ttl_seconds,
        vault_ids=agent.vault_ids,
        ends_at=identity.expires_at,
    )
    claims = read_token(issued.access_token)
    try:
        with transaction.atomic():
            _note_use(agent, identity, read, claims.jti, claims.expires_at)
            record(
                "auth.success",
                SUCCESS,
                actor=actor,
                resource=Resource("principal", agent.pk),
                details={"method": METHOD, "identity_id": str(identity.pk)},
            )
    except IntegrityError:  # deleted meanwhile
        raise Unauthenticated("unknown_identity") from None
    return issued


def _note_use(
    agent: Agent, identity: AgentIdentity, read: Assertion, jti: str, ends_at: datetime
) -> None:
    """Remember the token that is given out, and where the identity says so, that this was the one time."""
    digest = None
    if identity.single_use:
        if read.token_id is None:
            raise Unauthenticated("no_token_id")
        once = f"{read.issuer}\0{read.token_id}"
        digest = hashlib.sha256(once.encode()).hexdigest()
    acceptable_until = min(read.expires_at, read.issued_at + identity.max_age_seconds)
    use = AssertionUse(
        agent=agent,
        identity=identity,
        assertion_digest=digest,
        token_jti=jti,
        token_expires_at=ends_at,
        expires_at=max(ends_at, datetime.fromtimestamp(acceptable_until, UTC)),
    )
    try:
        with transaction.atomic():
            use.save(force_insert=True)
    except IntegrityError:
        raise Unauthenticated("used_assertion") from None


def count_past_uses(*, now: datetime) -> int:
    """How many sign-ins no longer matter to anybody."""
    return AssertionUse.objects.filter(expires_at__lt=now - timedelta(days=1)).count()


def forget_past_uses(*, now: datetime) -> int:
    """Delete them. Returns how many."""
    deleted, _ = AssertionUse.objects.filter(expires_at__lt=now - timedelta(days=1)).delete()
    return deleted

"""Signing in: credentials in, token out. Every way leaves the same audit fields.

Every refusal raises TooManyRequests instead where an address has failed too often.
"""

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from secrets_app.conf import app_settings
from secrets_app.errors import LockedOut, PasswordsOff, TooManyRequests
from secrets_app.models import Agent, ApiKey, Principal
from secrets_app.services.access.active import WITH_OWNER, why_inactive
from secrets_app.services.caller import Actor
from secrets_app.services.identity.api_keys import (
    AGENT_KEY_PREFIX,
    USER_KEY_PREFIX,
    digest_api_key,
    note_use,
)
from secrets_app.services.identity.passwords import check_password, note_sign_in
from secrets_app.services.identity.principals import principal_for_user
from secrets_app.services.identity.second_step import CodeAsked, ask_for_code, needs_code
from secrets_app.services.identity.sessions import start_session
from secrets_app.services.identity.sign_in_events import record_refusal, record_success, refuse
from secrets_app.services.identity.tokens import IssuedToken, issue_token


def sign_in_with_password(
    *, email: str, password: str, actor: Actor, request: HttpRequest, takes_code: bool
) -> IssuedToken | CodeAsked:
    """Exchange e-mail and password for the tokens of a new session, or the next step for who has a second
    factor.

    `takes_code` tells whether this way in has a next step. Raises Unauthenticated, the same for every
    reason, LockedOut, and Forbidden for a right password that is not enough here.
    """
    try:
        user = check_password(username=email, password=password, request=request)
    except LockedOut:
        with suppress(TooManyRequests):  # this one says more
            record_refusal("password", "locked_out", _principal_named(email), actor)
        raise
    if user is None and not app_settings.PASSWORD_SIGN_IN:
        record_refusal("password", "passwords_off", _principal_named(email), actor)
        raise PasswordsOff("passwords_off")
    if user is None:
        refuse("password", "bad_credentials", _principal_named(email), actor)
    principal = principal_for_user(user)
    if needs_code(principal=principal, actor=actor):
        return ask_for_code(principal=principal, actor=actor, takes_code=takes_code)
    return start_session(
        principal=principal,
        method="password",
        actor=actor,
        note=lambda: note_sign_in(user=user, request=request),
    )


def record_session_sign_in(
    *,
    user: AbstractBaseUser | None,
    email: str,
    reason: str | None,
    actor: Actor,
    method: str = "session",
) -> None:
    """Leave the event of a sign-in to pages, such as the admin's.

    `reason`: why it was refused, None for a success, which has a user. `method`: what was asked for.
    """
    if user is not None and reason is None:
        record_success(method, principal_for_user(user), actor)
    else:
        record_refusal(method, reason or "unknown", _principal_named(email), actor)


def _principal_named(email: str) -> Principal | None:
    username_field = get_user_model().USERNAME_FIELD
    return Principal.objects.filter(**{f"user__{username_field}": email}).first()


def sign_in_with_api_key(
    *, api_key: str, actor: Actor, lifetime_s: int | None = None
) -> IssuedToken:
    """Exchange a person's API key for a token, for less than the usual time with `lifetime_s`, seconds.

    Raises Unauthenticated, the same for every reason.
    """
    key = _find_key(api_key, USER_KEY_PREFIX, Principal.Kind.USER)
    if key is None:
        refuse("api_key", "unknown_key", None, actor)
    _check_key("api_key", key, actor)
    most = app_settings.USER_TOKEN_TTL
    lifetime_s = most if lifetime_s is None else min(most, lifetime_s)
    return _accept("api_key", key.principal, key, actor, lifetime_s=lifetime_s)


def sign_in_with_agent_key(
    *, api_key: str, agent_id: UUID | None, actor: Actor
) -> tuple[IssuedToken, Agent]:
    """Exchange an agent's key for a token, narrowed to the agent's vaults and lifetime.

    With `agent_id` the key must be that agent's. Raises Unauthenticated, the same for every reason.
    """
    key = _find_key(api_key, AGENT_KEY_PREFIX, Principal.Kind.AGENT)
    if key is None:
        refuse("agent_key", "unknown_key", None, actor)
    if agent_id is not None and agent_id != key.principal_id:
        refuse("agent_key", "other_agent", key.principal, actor)
    _check_key("agent_key", key, actor)
    agent: Agent | None = getattr(key.principal, "agent", None)
    if agent is None:
        refuse("agent_key", "inactive_owner", key.principal, actor)
    token = _accept(
        "agent_key",
        key.principal,
        key,
        actor,
        lifetime_s=agent.token_ttl_seconds,
        vault_ids=agent.vault_ids,
    )
    return token, agent


def _find_key(api_key: str, prefix: str, kind: str) -> ApiKey | None:
    if not api_key.startswith(prefix):
        return None
    return (
        ApiKey.objects.select_related(*(f"principal__{name}" for name in WITH_OWNER))
        .filter(digest=digest_api_key(api_key), principal__kind=kind)
        .first()
    )


def _check_key(method: str, key: ApiKey, actor: Actor) -> None:
    if key.revoked_at is not None:
        refuse(method, "revoked_key", key.principal, actor)
    if key.expires_at is not None and key.expires_at <= timezone.now():
        refuse(method, "expired_key", key.principal, actor)


def _accept(
    method: str,
    principal: Principal,
    key: ApiKey,
    actor: Actor,
    *,
    lifetime_s: int,
    vault_ids: Sequence[str] = (),
) -> IssuedToken:
    reason = why_inactive(principal, now=timezone.now())
    if reason is not None:
        refuse(method, reason, principal, actor)
    token = issue_token(
        principal=principal,
        api_key=key,
        lifetime_s=lifetime_s,
        vault_ids=vault_ids,
    )
    with transaction.atomic():
        note_use(key_id=key.pk, last_used_at=key.last_used_at)
        record_success(method, principal, actor)
    return token

"""Principals of people, and what operators do to any. Agents come with their own service."""

from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import F

from secrets_app.errors import NotFound
from secrets_app.models import Principal
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Actor

# What `why_out` looks at, for `select_related`.
WITH_OWNER = ("user", "agent__owner__user")


def principal_for_user(user: AbstractBaseUser) -> Principal:
    """The user's principal, made the first time it is needed."""
    principal, _ = Principal.objects.get_or_create(
        user=cast(Any, user),
        defaults={"kind": Principal.Kind.USER, "name": user.get_username()[:255]},
    )
    return principal


def why_out(principal: Principal, *, now: datetime) -> str | None:
    """Why a principal may neither sign in nor act; None when it may. For an agent, its owner must too.

    Wants `WITH_OWNER` selected. `services.access.authorization` says the same of a row.
    """
    if not principal.is_active or (principal.user is not None and not principal.user.is_active):
        return "inactive"
    if principal.expires_at is not None and principal.expires_at <= now:
        return "expired_principal"
    if principal.kind == Principal.Kind.AGENT:
        agent = getattr(principal, "agent", None)
        if agent is None or why_out(agent.owner, now=now) is not None:
            return "inactive_owner"
    return None


def end_tokens(*, principal_id: UUID, actor: Actor) -> None:
    """End every token a principal has been given so far, from its next request on; keys stay.

    Raises NotFound.
    """
    with transaction.atomic():
        principals = Principal.objects.filter(pk=principal_id)
        if not principals.update(token_generation=F("token_generation") + 1):
            raise NotFound("There is no such principal.")
        record(
            "auth.revoke_all", SUCCESS, actor=actor, resource=Resource("principal", principal_id)
        )

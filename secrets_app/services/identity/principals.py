"""Manage the principals of people, deactivate them, and end anybody's tokens. Agents have a module of their
own."""

from typing import Any, cast
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import F

from secrets_app.errors import NotFound
from secrets_app.models import Principal
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Actor
from secrets_app.services.identity.web_sessions import end_web_sessions

_NOBODY = "There is no such principal."


def principal_for_user(user: AbstractBaseUser) -> Principal:
    """Return the user's principal. The first call makes it."""
    principal, _ = Principal.objects.get_or_create(
        user=cast(Any, user),
        defaults={"kind": Principal.Kind.USER, "name": user.get_username()[:255]},
    )
    return principal


def end_tokens(*, principal_id: UUID, actor: Actor) -> None:
    """End every token and session that a principal has, from its next request on. Its API keys stay.

    Raises NotFound.
    """
    with transaction.atomic():
        _end_tokens(principal_id)
        record(
            "auth.revoke_all", SUCCESS, actor=actor, resource=Resource("principal", principal_id)
        )


def deactivate_person(*, principal_id: UUID, actor: Actor) -> None:
    """Deactivate a person, with all their tokens and sessions, from their next request on.

    Their agents stop with them. To repeat this is no error. Raises NotFound.
    """
    with transaction.atomic():
        user = _end_tokens(principal_id)
        _set_active(user, is_active=False)
        record(
            "user.deactivate", SUCCESS, actor=actor, resource=Resource("principal", principal_id)
        )


def activate_person(*, principal_id: UUID, actor: Actor) -> None:
    """Let a person sign in again. What was ended stays ended. Raises NotFound."""
    with transaction.atomic():
        principal = Principal.objects.select_related("user").filter(pk=principal_id).first()
        _set_active(None if principal is None else principal.user, is_active=True)
        record("user.activate", SUCCESS, actor=actor, resource=Resource("principal", principal_id))


def _end_tokens(principal_id: UUID) -> Any:
    """Returns the principal's user, None for an agent."""
    principals = Principal.objects.filter(pk=principal_id)
    if not principals.update(token_generation=F("token_generation") + 1):
        raise NotFound(_NOBODY)
    user = principals.select_related("user").get().user
    end_web_sessions(user)
    return user


def _set_active(user: Any, *, is_active: bool) -> None:
    if user is None:
        raise NotFound(_NOBODY)
    user.is_active = is_active
    user.save(update_fields=["is_active"])

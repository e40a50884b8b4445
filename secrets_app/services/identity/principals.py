"""Manage the principals of people, and end anybody's tokens. Agents have a module of their own."""

from typing import Any, cast
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import F

from secrets_app.errors import NotFound
from secrets_app.models import Principal
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Actor


def principal_for_user(user: AbstractBaseUser) -> Principal:
    """Return the user's principal. The first call makes it."""
    principal, _ = Principal.objects.get_or_create(
        user=cast(Any, user),
        defaults={"kind": Principal.Kind.USER, "name": user.get_username()[:255]},
    )
    return principal


def end_tokens(*, principal_id: UUID, actor: Actor) -> None:
    """End every token that a principal has, from its next request on. Its API keys stay.

    Raises NotFound.
    """
    with transaction.atomic():
        principals = Principal.objects.filter(pk=principal_id)
        if not principals.update(token_generation=F("token_generation") + 1):
            raise NotFound("There is no such principal.")
        record(
            "auth.revoke_all", SUCCESS, actor=actor, resource=Resource("principal", principal_id)
        )

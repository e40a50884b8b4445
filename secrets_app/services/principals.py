"""Principals of people. Agents come with their own service."""

from typing import Any, cast

from django.contrib.auth.base_user import AbstractBaseUser

from secrets_app.models import Principal


def principal_for_user(user: AbstractBaseUser) -> Principal:
    """The user's principal, made the first time it is needed."""
    principal, _ = Principal.objects.get_or_create(
        user=cast(Any, user),
        defaults={"kind": Principal.Kind.USER, "name": user.get_username()[:255]},
    )
    return principal

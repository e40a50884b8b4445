"""Find what commands take as arguments: people, vaults, times."""

from argparse import ArgumentParser
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError

from secrets_app.models import Principal, Vault
from secrets_app.services.identity import principal_for_user


def person_named(username: str) -> Principal:
    """Return the principal of a person, by what they sign in with. Raises CommandError."""
    model = get_user_model()
    user = model._default_manager.filter(**{model.USERNAME_FIELD: username}).first()
    if user is None:
        raise CommandError("There is no such person.")
    return principal_for_user(user)


def vault_named(id_or_name: str) -> Vault:
    """Return an undeleted vault by its id, or by a name that only one has. Raises CommandError."""
    living = Vault.objects.filter(deleted_at__isnull=True)
    try:
        found = list(living.filter(pk=UUID(id_or_name)))
    except ValueError:
        found = list(living.filter(name=id_or_name)[:2])
    if not found:
        raise CommandError("There is no such vault.")
    if len(found) > 1:
        raise CommandError("Several vaults have this name. Give the id.")
    return found[0]


def add_vault_argument(parser: ArgumentParser) -> None:
    """Add `vault`, for commands that look at one vault or at all of them."""
    parser.add_argument("vault", nargs="?", help="id or name of one vault; all without it")


def chosen_vault_id(options: Mapping[str, Any]) -> UUID | None:
    """The id of the vault that was named, or None for all. Raises CommandError."""
    return vault_named(options["vault"]).pk if options["vault"] else None


def instant(text: str) -> datetime:
    """Parse an ISO 8601 date-time with offset. Raises CommandError."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise CommandError("A date-time has an offset, such as 2030-01-31T12:00:00Z.")
    return parsed.astimezone(UTC)

"""Say what wrong passwords are counted by: the normalised account and the client's address."""

import hashlib
from typing import Any

from django.http import HttpRequest

from secrets_app.services.access import client_address
from vaultsite.accounts.models import User


def identity(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """Return a digest of the account's name in its stored spelling.

    It is a digest because the counter stores it, and people type passwords into the wrong field.
    """
    given = (credentials or {}).get("email") or (credentials or {}).get("username") or ""
    if not given and request is not None:
        given = request.POST.get("login", "")
    normalised = User._meta.get_field("email").to_python(str(given))
    return hashlib.sha256(str(normalised).encode()).hexdigest()


def address(request: HttpRequest) -> str:
    """Return the client's address as everywhere else."""
    return client_address(request) or "0.0.0.0"  # noqa: S104  (where there is none, as a Unix socket)

"""Record sign-ins to pages. Every attempt leaves an event; if that cannot be written, nobody gets in."""

from uuid import uuid4

from allauth.account.authentication import get_authentication_records
from django.db import transaction
from django.http import HttpRequest

from secrets_app.admin.acting import actor_of
from secrets_app.conf import app_settings
from secrets_app.http.throttling import count_request
from secrets_app.services.access import client_address
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Actor
from secrets_app.services.identity import record_session_sign_in
from vaultsite.accounts.models import User

# By the type of the factor that was used beside what came first.
METHODS = {
    "totp": "session_totp",
    "webauthn": "session_webauthn",
    "recovery_codes": "session_recovery_code",
}


# The type of a factor that the provider has asked for, and is trusted about.
PROVIDERS_FACTOR = "provider"


def method_of(request: HttpRequest, user: User) -> str:
    """Return how somebody has come as far as they have: `session`, or with a factor `session_totp`, …

    Who comes from a provider has come by `oidc_corp`, or `oidc_corp_totp`.
    """
    records = get_authentication_records(request, user)
    used = [
        METHODS[record["type"]]
        for record in records
        if record.get("method") == "mfa"
        and record.get("type") in METHODS
        and not record.get("reauthenticated")
    ]
    method = used[-1] if used else "session"
    by = [record["provider"] for record in records if record.get("method") == "socialaccount"]
    return f"oidc_{by[-1]}{method.removeprefix('session')}" if by else method


def has_providers_factor(request: HttpRequest, user: User) -> bool:
    """Tell whether the provider that somebody comes from has asked for a second factor."""
    records = get_authentication_records(request, user)
    return any(record.get("type") == PROVIDERS_FACTOR for record in records)


def has_shown_factor(request: HttpRequest, user: User) -> bool:
    """Tell whether this session belongs to somebody who has shown a second factor in it."""
    records = get_authentication_records(request, user)
    return any(record.get("method") == "mfa" for record in records)


def count_attempt(request: HttpRequest) -> None:
    """Count one attempt of an address before it costs anything, along with those over the API.

    Raises TooManyRequests.
    """
    rate = app_settings.SIGN_IN_RATE_LIMIT
    count_request(rate, "sign-in", client_address(request) or "none")


def record_again(request: HttpRequest, *, method: str) -> None:
    """Leave the event of somebody who is signed in and has proved it once more."""
    actor = actor_of(request)
    with transaction.atomic():
        record(
            "auth.reauthenticate",
            SUCCESS,
            actor=actor,
            resource=Resource("principal", actor.id),
            details={"method": method},
        )


def record_sign_in(
    request: HttpRequest,
    *,
    user: User | None,
    email: str,
    method: str,
    reason: str | None = None,
) -> None:
    """Leave the event of an attempt, for `reason` None of a success.

    Raises TooManyRequests for an address that has failed too often.
    """
    request_id = getattr(request, "request_id", None) or uuid4()
    record_session_sign_in(
        user=user,
        email=email,
        reason=reason,
        actor=Actor(None, "anonymous", client_address(request), request_id),
        method=method,
    )

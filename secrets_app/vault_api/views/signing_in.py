"""Signing in, and what a token can ask about and do with itself."""

import re
from copy import copy
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from secrets_app.errors import Conflict, Forbidden, Unauthenticated
from secrets_app.services.identity import (
    IssuedToken,
    derive_token,
    read_token,
    sign_in_by_role,
    sign_in_with_agent_key,
    sign_in_with_api_key,
    sign_in_with_password,
    sign_out,
)
from secrets_app.vault_api.answers import encode, envelope, instant, nothing, refusal
from secrets_app.vault_api.documents import Number
from secrets_app.vault_api.door import Call, whole_number
from secrets_app.vault_api.views.metadata import seconds_of

WRONG_ROLE = "invalid role or secret ID"
WRONG_PASSWORD = "invalid username or password"  # noqa: S105
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# What is no id is that of no agent: refused, and recorded, like any wrong one.
_NOBODY = UUID(int=0)
_POLICIES = ["default"]
_MAX_EMAIL, _MAX_PASSWORD, _MAX_KEY = 254, 1024, 128


def approle(call: Call) -> HttpResponse:
    """An agent: its id as role, its key as secret id."""
    role, key = call.body.get("role_id"), call.body.get("secret_id")
    if not isinstance(role, str) or not isinstance(key, str) or len(key) > _MAX_KEY:
        return refusal(400, [WRONG_ROLE])
    agent_id = UUID(role) if _UUID.fullmatch(role) else _NOBODY
    try:
        issued, agent = sign_in_with_agent_key(api_key=key, agent_id=agent_id, actor=call.anonymous)
    except Unauthenticated:
        return refusal(400, [WRONG_ROLE])
    return _token(call, issued, {"role_name": agent.principal.name})


def userpass(call: Call) -> HttpResponse:
    """A person, by e-mail and password."""
    email, password = call.rest["email"], call.body.get("password")
    if not isinstance(password, str):
        return refusal(400, ["missing password"])
    if len(email) > _MAX_EMAIL or len(password) > _MAX_PASSWORD or "\0" in email + password:
        return refusal(400, [WRONG_PASSWORD])
    try:
        issued = sign_in_with_password(
            email=email,
            password=password,
            actor=call.anonymous,
            request=_without_name(call.request),
            takes_code=False,
        )
    except Unauthenticated:
        return refusal(400, [WRONG_PASSWORD])
    except Forbidden as error:
        return refusal(400, [error.detail])
    assert isinstance(issued, IssuedToken)  # noqa: S101  (without a code to take, none is asked for)
    return _token(call, issued, {"username": email})


def _without_name(request: HttpRequest) -> HttpRequest:
    """The request, without the name at the end of its path: whatever counts failures may log and keep the
    path, and people type passwords into the wrong field."""
    shown = copy(request)
    shown.path = shown.path_info = "/v1/auth/userpass/login"
    shown.META = request.META | {"PATH_INFO": shown.path_info}
    return shown


def jwt(call: Call) -> HttpResponse:
    """An agent: its id or name as role, and a token of another issuer."""
    role, assertion = call.body.get("role"), call.body.get("jwt")
    if not isinstance(role, str) or not isinstance(assertion, str):
        return refusal(400, ["missing role or jwt"])
    issued, _ = sign_in_by_role(role=role, assertion=assertion, actor=call.anonymous)
    return _token(call, issued, {"role": role})


def not_enabled(call: Call) -> HttpResponse:
    """A way to sign in that this deployment does not have."""
    name = call.rest["method"]
    return refusal(404, [f'no handler for route "auth/{name}/login". route entry not found.'])


def lookup_self(call: Call) -> HttpResponse:
    """What this token is."""
    caller, claims = call.caller, call.caller.claims
    told: dict[str, Any] = {
        "accessor": "",
        "creation_time": 0,
        "creation_ttl": 0,
        "display_name": f"{caller.kind}-{caller.id}",
        "entity_id": str(caller.id),
        "expire_time": None,
        "explicit_max_ttl": 0,
        "id": call.bearer,
        "issue_time": None,
        "meta": None,
        "num_uses": 0,
        "orphan": claims is None or claims.parent is None,
        "path": "auth/token/create" if claims is None or claims.parent else "auth/login",
        "policies": _POLICIES,
        "renewable": False,
        "ttl": 0,
        "type": "service",
    }
    if claims is not None:
        lifetime = claims.expires_at - claims.issued_at
        left = claims.expires_at - timezone.now()
        told |= {
            "accessor": claims.jti,
            "creation_time": int(claims.issued_at.timestamp()),
            "creation_ttl": int(lifetime.total_seconds()),
            "expire_time": instant(claims.expires_at),
            "issue_time": instant(claims.issued_at),
            "ttl": max(0, int(left / timedelta(seconds=1))),
        }
    return envelope(call.request_id, encode(told))


def renew_self(_: Call) -> HttpResponse:
    """Tokens are not renewed: who needs another signs in again."""
    return refusal(400, ["lease is not renewable"])


def create(call: Call) -> HttpResponse:
    """A token for the same principal that ends with this one, or earlier.

    Who asks for one that may less than this one must not be given one that may as much.
    """
    narrower = call.body.get("policies") or _POLICIES
    if narrower != _POLICIES or whole_number(call.body.get("num_uses", Number("0"))) != 0:
        return refusal(
            400, ["a token is for all that its maker may; give an agent policies instead"]
        )
    lifetime_s = None
    for field in ("ttl", "explicit_max_ttl", "lease"):
        given = call.body.get(field)
        if given:
            seconds = seconds_of(given, field=field) or None
            known = [each for each in (lifetime_s, seconds) if each is not None]
            lifetime_s = min(known, default=None)
    claims = call.caller.claims
    if claims is None:
        issued = sign_in_with_api_key(
            api_key=call.bearer, actor=call.anonymous, lifetime_s=lifetime_s
        )
        return _token(call, issued, None)
    try:
        issued = derive_token(caller=call.caller, claims=claims, lifetime_s=lifetime_s)
    except Conflict as error:
        return refusal(400, [error.detail])
    return _token(call, issued, None)


def revoke_self(call: Call) -> HttpResponse:
    """End this token at once."""
    claims = call.caller.claims
    if claims is None:
        return refusal(400, ["This is an API key, not a token: revoke it where it was made."])
    sign_out(claims=claims, actor=call.caller.actor)
    return nothing()


def _token(call: Call, issued: IssuedToken, told: dict[str, str] | None) -> HttpResponse:
    claims = read_token(issued.access_token)
    auth = {
        "client_token": issued.access_token,
        "accessor": claims.jti,
        "policies": _POLICIES,
        "token_policies": _POLICIES,
        "metadata": told,
        "lease_duration": issued.expires_in,
        "renewable": False,
        "entity_id": str(claims.principal_id),
        "token_type": "service",
        "orphan": claims.parent is None,
        "mfa_requirement": None,
        "num_uses": 0,
    }
    return envelope(call.request_id, auth=encode(auth))

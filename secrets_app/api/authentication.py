"""`Authorization: Bearer <JWT or personal API key>` → a Caller as `request.user`."""

import re
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from secrets_app.errors import InvalidInput, Unauthenticated
from secrets_app.models.request_state import Fetch
from secrets_app.policy.path import parse_path
from secrets_app.services.access import client_address
from secrets_app.services.caller import Actor, Caller
from secrets_app.services.identity import identify

_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_MAX_NUMBER = 2**31 - 1
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class BearerAuthentication(BaseAuthentication):
    """Brings along the vault named in the URL and what the view seeks in it, so that a request is judged,
    and read, with one query."""

    def authenticate(self, request: Request) -> tuple[Caller, None]:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        scheme, _, credential = header.partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential or not credential.isascii():
            raise Unauthenticated("no_credential")
        view, kwargs = request.parser_context["view"], request.parser_context["kwargs"]
        vault_id = path = None
        # Malformed ones are judged after authentication: 401 comes before 400.
        with suppress(KeyError, InvalidInput):
            vault_id = parse_uuid(kwargs["vault_id"])
            path = parse_path(kwargs["path"])
        caller = identify(
            bearer=credential,
            vault_id=vault_id,
            address=client_address(request),
            request_id=request_id(request),
            path=path,
            fetch=view.fetch.get(view.action, Fetch.NOTHING),
        )
        return caller, None


def parse_uuid(raw: str, field: str = "vault_id") -> UUID:
    """Take the canonical hyphenated form only. Raises InvalidInput."""
    if _UUID.fullmatch(raw) is None:
        raise InvalidInput({field: ["This is not a UUID."]})
    return UUID(raw)


def parse_version_number(raw: str) -> int:
    """Parse a whole number without sign or leading zero. Raises InvalidInput."""
    if _NUMBER.fullmatch(raw) is None or int(raw) > _MAX_NUMBER:
        raise InvalidInput({"number": ["This is not the number of a version."]})
    return int(raw)


def request_id(request: Request) -> UUID:
    """Return the id that ties response, log lines and audit events of a request together."""
    django_request = request._request
    if not hasattr(django_request, "request_id"):
        django_request.request_id = uuid4()  # type: ignore[attr-defined]
    return django_request.request_id  # type: ignore[attr-defined,no-any-return]


def anonymous(request: Request) -> Actor:
    """Return the actor of a request that nobody has signed in for."""
    return Actor(None, "anonymous", client_address(request), request_id(request))


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = BearerAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token from `/v1/auth/…`, or a personal API key (`1ck_…`) as it is.",
        }

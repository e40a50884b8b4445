"""A request on its way to a view: method, headers, caller, mount, path and permission, in this order, and
only then the body."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse

from secrets_app.conf import app_settings
from secrets_app.errors import Forbidden, InvalidInput, TooLarge, Unauthenticated
from secrets_app.http.bodies import max_body_bytes, read_body
from secrets_app.http.throttling import count_request
from secrets_app.models.request_state import Fetch
from secrets_app.policy.decision import Permission
from secrets_app.policy.path import parse_path
from secrets_app.services.access import authorize, authorize_member, client_address, require_owner
from secrets_app.services.caller import Actor, Caller
from secrets_app.services.secrets import identify_at
from secrets_app.vault_api.answers import (
    UNSUPPORTED_OPERATION,
    failure,
    refusal,
    request_id_of,
)
from secrets_app.vault_api.documents import Number, parse

DOOR = "kv2"
_VERSION = re.compile(r"[0-9]{1,10}")
MAX_NUMBER = 2**31 - 1
_READS = frozenset({"GET", "LIST"})
# What Go reads as true, and clients send: hvac writes `True`.
_TRUE = frozenset({"1", "t", "T", "true", "True", "TRUE"})
# Enough for all that is no value of a secret and no notes.
_SHORT_BODY_BYTES = 64 * 1024


class Access(Enum):
    """Rules that need no path; for those that do, an action declares a `Permission`."""

    PUBLIC = "anybody"
    SIGN_IN = "anybody, and attempts are counted"
    SIGNED_IN = "any caller"
    MEMBER = "the vault's owner and whoever has a policy in it"
    OWNER = "the vault's owner"


class Call:
    """One request. `mount` is the vault as it was named, `path` a valid path, or in lists a folder."""

    def __init__(self, request: HttpRequest, rest: Mapping[str, str]) -> None:
        self.request = request
        self.request_id = request_id_of(request)
        self.rest = rest
        self.mount = rest.get("mount", "")
        self.path = ""
        self.vault_id: UUID | None = None
        self.signed_in: Caller | None = None
        self.has_long_body = False

    @property
    def caller(self) -> Caller:
        if self.signed_in is None:
            raise Unauthenticated("no_credential")
        return self.signed_in

    @property
    def vault(self) -> UUID:
        """The vault of a caller that was judged in it."""
        if self.vault_id is None:
            raise Forbidden
        return self.vault_id

    @cached_property
    def bearer(self) -> str:
        """X-Vault-Token, or a Bearer token. Raises Unauthenticated."""
        token = self.request.META.get("HTTP_X_VAULT_TOKEN", "").strip()
        if not token:
            scheme, _, rest = self.request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
            token = rest.strip() if scheme.lower() == "bearer" else ""
        return token if token.isascii() else ""

    @property
    def anonymous(self) -> Actor:
        return Actor(None, "anonymous", client_address(self.request), self.request_id, DOOR)

    @cached_property
    def raw_body(self) -> bytes:
        """Raises TooLarge."""
        limit = max_body_bytes() if self.has_long_body else _SHORT_BODY_BYTES
        return read_body(self.request, self.request.META, limit=limit)

    @cached_property
    def body(self) -> dict[str, Any]:
        """The body as an object, empty for none; numbers are `Number`. Raises InvalidInput, TooLarge."""
        parsed = parse(self.raw_body) if self.raw_body else {}
        if not isinstance(parsed, dict):
            raise InvalidInput({"body": ["The body must be a JSON object."]})
        return parsed

    def version(self) -> int | None:
        """`?version=`, None for the current one (absent or 0). Raises InvalidInput."""
        text = self.request.GET.get("version", "0")
        if _VERSION.fullmatch(text) is None or int(text) > MAX_NUMBER:
            raise InvalidInput({"version": ["This is not the number of a version."]})
        return int(text) or None

    def identify(self, mount: str, path: str | None, fetch: Fetch) -> "Found":
        """The caller, and the vault that a mount means to it. Raises Unauthenticated."""
        if not self.bearer:
            raise Unauthenticated("no_credential")
        caller, meant = identify_at(
            bearer=self.bearer,
            mount=mount,
            address=client_address(self.request),
            request_id=self.request_id,
            path=path,
            fetch=fetch,
            door=DOOR,
        )
        vault_id = None if caller.vault is None else caller.vault.id
        return Found(caller, vault_id, meant.is_shared, meant.is_ambiguous)


@dataclass(frozen=True, slots=True)
class Found:
    """Who calls, and the id of the vault that a mount means to it, None where there is none. `is_shared`:
    it was found by its name and is another's."""

    caller: Caller
    vault_id: UUID | None
    is_shared: bool
    is_ambiguous: bool

    def check_name(self, *, is_read: bool) -> None:
        """Raises InvalidInput for a name that is not good enough. Anybody can share a vault of any name,
        so what is stored goes into another's vault only by its id."""
        if self.is_ambiguous:
            raise InvalidInput(
                {"mount": ["You can see several vaults of this name; use the vault's id."]}
            )
        if self.is_shared and self.vault_id is not None and not is_read:
            raise InvalidInput(
                {"mount": ["This vault is shared by another; to change it, use the vault's id."]}
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What a method of a route does. `act` is called when the caller was judged by `access`, a permission,
    and by the one that it takes `also`.

    `event` names the action to the log where only the owner may; `has_long_body` is for values and notes,
    other bodies are kept short; the rest is for the OpenAPI document.
    """

    act: Callable[[Call], HttpResponse]
    access: Access | Permission
    also: Permission | None = None
    fetch: Fetch = Fetch.NOTHING
    event: str = ""
    summary: str = ""
    body: Mapping[str, Any] | None = None
    has_long_body: bool = False
    query: Mapping[str, Any] = field(default_factory=dict)


class Route:
    """A view of Django: `template` as OpenAPI writes it, and an action for each method."""

    csrf_exempt = True  # no cookie is looked at

    def __init__(self, template: str, **actions: Action) -> None:
        self.template = template
        self.actions = actions

    def __call__(self, request: HttpRequest, **rest: str) -> HttpResponse:
        call = Call(request, rest)
        try:
            return self._answer(call)
        except Exception as exc:  # the one place where any becomes an answer
            return failure(exc, call.request_id)

    def _answer(self, call: Call) -> HttpResponse:
        method = _method(call.request)
        action = self.actions.get(method)
        if action is None:
            response = refusal(405, UNSUPPORTED_OPERATION)
            response.headers["Allow"] = ", ".join(sorted(self.actions))
            return response
        _check_headers(call.request)
        if action.access is Access.PUBLIC or action.access is Access.SIGN_IN:
            if action.access is Access.SIGN_IN:
                rate = app_settings.SIGN_IN_RATE_LIMIT
                count_request(rate, "sign-in", client_address(call.request) or "none")
        else:
            call.has_long_body = action.has_long_body
            _judge(call, action, method)
        return action.act(call)


def _judge(call: Call, action: Action, method: str) -> None:
    """403 for no token; then rate, the mount's name, a malformed path; then the permission."""
    is_list = method == "LIST"
    path, problem = None, None
    if "path" in call.rest:
        try:
            path = _folder(call.rest["path"]) if is_list else _path(call.rest["path"])
        except InvalidInput as error:
            problem = error
    fetch = action.fetch if not is_list and "version" not in call.request.GET else Fetch.NOTHING
    found = call.identify(call.mount, path, fetch)
    call.signed_in, call.vault_id = found.caller, found.vault_id
    call.request.user = call.signed_in  # type: ignore[assignment]
    count_request(app_settings.RATE_LIMIT, "principal", str(call.signed_in.id))
    found.check_name(is_read=method in _READS)
    if problem is not None:
        raise problem
    call.path = path or ""
    rule = action.access
    if rule is Access.SIGNED_IN:
        return
    # A vault that is not there and one that is not the caller's are refused alike.
    vault = call.vault
    if isinstance(rule, Permission):
        for each in (rule, action.also):
            if each is not None:
                authorize(caller=call.signed_in, vault_id=vault, path=call.path, permission=each)
    elif rule is Access.OWNER:
        path = call.path or None
        require_owner(caller=call.signed_in, vault_id=vault, action=action.event, path=path)
    else:
        authorize_member(caller=call.signed_in, vault_id=vault)


def _method(request: HttpRequest) -> str:
    method = request.method or ""
    if method == "POST":
        return "PUT"
    if method == "GET" and request.GET.get("list") in _TRUE:
        return "LIST"
    return method


def _check_headers(request: HttpRequest) -> None:
    if request.META.get("HTTP_X_VAULT_NAMESPACE", "").strip("/ "):
        raise InvalidInput({"X-Vault-Namespace": ["namespaces are not supported"]})
    if request.META.get("HTTP_X_VAULT_WRAP_TTL"):
        raise InvalidInput({"X-Vault-Wrap-TTL": ["response wrapping is not supported"]})


def _path(raw: str) -> str:
    if raw.endswith("/") or not raw:
        raise InvalidInput({"path": ["This call needs a path that does not end in '/'."]})
    return parse_path(raw)


def _folder(raw: str) -> str:
    """`""` for the top, otherwise with a slash at its end."""
    if not raw:
        return ""
    return f"{parse_path(raw.removesuffix('/'))}/"


def whole_number(value: Any) -> int | None:
    """A whole number, as JSON's or as text, up to `MAX_NUMBER`; None for anything else."""
    text = value.text if isinstance(value, Number) else value
    if not isinstance(text, str) or _VERSION.fullmatch(text) is None:
        return None
    return int(text) if int(text) <= MAX_NUMBER else None


def parse_versions(call: Call) -> list[int]:
    """The `versions` of a body: a list, or text with commas. Raises InvalidInput."""
    given = call.body.get("versions")
    if isinstance(given, str):
        given = given.split(",")
    elif isinstance(given, Number):
        given = [given]
    if not isinstance(given, list) or not given:
        raise InvalidInput({"versions": ["No version number provided"]})
    numbers = {
        whole_number(each.strip() if isinstance(each, str) else each) for each in given[:1001]
    }
    if len(given) > 1000 or None in numbers or 0 in numbers:
        raise InvalidInput({"versions": ["This is a list of at most 1000 version numbers."]})
    return sorted(number for number in numbers if number is not None)


def too_large() -> TooLarge:
    """A value beyond its bound."""
    return TooLarge("The value", app_settings.MAX_VALUE_BYTES)

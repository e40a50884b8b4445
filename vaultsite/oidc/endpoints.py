"""Find a provider's endpoints (OpenID Connect Discovery 1.0) and ask them.

A provider is named by the operator, so it may be anywhere. Its answers are bounded in time and size. Few
requests may ask a provider at once, so that a slow one holds up nobody else.
"""

import base64
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode

from secrets_app.errors import OutboundError, ProviderError
from secrets_app.federation.key_sets import ALGORITHMS
from secrets_app.outbound import Answer, anywhere, parse_url, send
from secrets_app.strict_json import parse_json
from vaultsite.oidc.providers import Provider
from vaultsite.oidc.refused import SignInRefused

DISCOVERY = "/.well-known/openid-configuration"
TIMEOUT_S = 5.0
_MOST_BYTES = 256 * 1024
_FRESH_S, _KEPT_S = 600, 3600
_MOST_AT_ONCE = 8
_MAX_TOKEN_CHARS = 16 * 1024


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What a discovery document says, as far as it matters here. All URLs are https."""

    authorization: str
    token: str
    jwks: str
    userinfo: str | None
    token_methods: tuple[str, ...]
    algorithms: tuple[str, ...]
    # Whether each answer names its issuer (RFC 9207).
    answers_name_issuer: bool


@dataclass(frozen=True, slots=True, repr=False)
class Tokens:
    """What a code was exchanged for. Neither is stored."""

    id_token: str
    access_token: str | None


class BadDiscovery(Exception):
    """`reason` is a code; the text of a finding of `manage.py doctor` is made from it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


_lock = threading.Lock()
_kept: dict[Provider, tuple[float, Endpoints]] = {}
_asking: dict[str, threading.BoundedSemaphore] = {}


def forget() -> None:
    """Ask every provider anew, for tests."""
    with _lock:
        _kept.clear()


def endpoints_of(provider: Provider) -> Endpoints:
    """Return a provider's endpoints, at most ten minutes old, or an hour while it cannot be asked.

    Raises SignInRefused: `provider_unavailable` or `bad_discovery`.
    """
    now = time.time()
    with _lock:
        fetched_at, kept = _kept.get(provider, (0.0, None))
    age = now - fetched_at
    if kept is not None and 0 <= age < _FRESH_S:
        return kept
    try:
        with one_of_few(provider):
            found, _ = fetch_endpoints(provider)
    except OutboundError:
        if kept is not None and 0 <= age < _KEPT_S:
            return kept
        raise SignInRefused("provider_unavailable") from None
    except BadDiscovery:
        raise SignInRefused("bad_discovery") from None
    with _lock:
        _kept[provider] = (now, found)
    return found


def fetch_endpoints(provider: Provider) -> tuple[Endpoints, Answer]:
    """Fetch and judge a discovery document. Raises OutboundError, BadDiscovery."""
    url = provider.issuer.removesuffix("/") + DISCOVERY
    answer = _send(provider, "GET", url)
    document = _object(answer)
    if document is None:
        raise BadDiscovery("no_document")
    if document.get("issuer") != provider.issuer:
        raise BadDiscovery("other_issuer")
    userinfo = document.get("userinfo_endpoint")
    offered = _texts(document.get("id_token_signing_alg_values_supported")) or ALGORITHMS
    algorithms = tuple(each for each in ALGORITHMS if each in offered)
    if not algorithms:
        raise BadDiscovery("no_algorithm")
    pkce = _texts(document.get("code_challenge_methods_supported"))
    if pkce and "S256" not in pkce:
        raise BadDiscovery("no_pkce")
    return Endpoints(
        authorization=_endpoint(document.get("authorization_endpoint")),
        token=_endpoint(document.get("token_endpoint")),
        jwks=_endpoint(document.get("jwks_uri")),
        userinfo=None if userinfo is None else _endpoint(userinfo),
        # The default is Discovery's own.
        token_methods=_texts(document.get("token_endpoint_auth_methods_supported"))
        or ("client_secret_basic",),
        algorithms=algorithms,
        answers_name_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    ), answer


def exchange_code(
    provider: Provider, endpoints: Endpoints, *, code: str, verifier: str, redirect_uri: str
) -> Tokens:
    """Exchange a code for tokens (RFC 6749, 4.1.3; RFC 7636, 4.5). Raises SignInRefused."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    secret = _secret(provider)
    if secret is None:
        form["client_id"] = provider.client_id
    elif "client_secret_basic" in endpoints.token_methods:
        pair = f"{quote_plus(provider.client_id)}:{quote_plus(secret)}"  # RFC 6749, 2.3.1
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    else:
        form |= {"client_id": provider.client_id, "client_secret": secret}
    try:
        with one_of_few(provider):
            answer = _send(provider, "POST", endpoints.token, headers, urlencode(form).encode())
    except OutboundError:
        raise SignInRefused("provider_unavailable") from None
    if answer.status in (400, 401, 403):
        raise SignInRefused("client_refused" if _is_about_us(answer) else "code_refused")
    found = _object(answer)
    if found is None:
        raise SignInRefused("provider_unavailable")
    id_token, access_token = found.get("id_token"), found.get("access_token")
    if not isinstance(id_token, str):
        raise SignInRefused("no_id_token")
    is_token = isinstance(access_token, str) and 0 < len(access_token) <= _MAX_TOKEN_CHARS
    return Tokens(id_token, access_token if is_token else None)


def fetch_userinfo(provider: Provider, endpoints: Endpoints, access_token: str) -> dict[str, Any]:
    """Ask for more claims (OpenID Connect Core 1.0, 5.3). Raises SignInRefused.

    The caller must check that they are about the same subject.
    """
    if endpoints.userinfo is None or not (access_token.isascii() and access_token.isprintable()):
        raise SignInRefused("no_userinfo")
    headers = {"Authorization": f"Bearer {access_token}"}
    try:
        with one_of_few(provider):
            found = _object(_send(provider, "GET", endpoints.userinfo, headers))
    except OutboundError:
        raise SignInRefused("provider_unavailable") from None
    if found is None:
        raise SignInRefused("no_userinfo")
    return found


def fetch_document(provider: Provider, url: str) -> dict[str, Any] | None:
    """Fetch a JSON object from a provider; None where the answer is none. Raises OutboundError."""
    return _object(_send(provider, "GET", url))


def _send(
    provider: Provider,
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    return send(
        method,
        parse_url(url, any_port=True),
        timeout_s=TIMEOUT_S,
        most_bytes=_MOST_BYTES,
        may_reach=anywhere,
        headers={"Accept": "application/json"} | dict(headers or {}),
        body=body,
        ca_file=provider.ca_file,
    )


@contextmanager
def one_of_few(provider: Provider) -> Iterator[None]:
    """Hold one of the places of those who ask this provider. Raises OutboundError when all are taken."""
    with _lock:
        places = _asking.setdefault(provider.id, threading.BoundedSemaphore(_MOST_AT_ONCE))
    if not places.acquire(blocking=False):
        raise OutboundError("busy")
    try:
        yield
    finally:
        places.release()


def _secret(provider: Provider) -> str | None:
    try:
        return None if provider.secret is None else provider.secret.read()
    except ProviderError:
        raise SignInRefused("no_client_secret") from None


def _object(answer: Answer) -> dict[str, Any] | None:
    try:
        data = parse_json(answer.body) if answer.status == 200 else None
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def _is_about_us(answer: Answer) -> bool:
    """Whether it is our credential that was refused (RFC 6749, 5.2), and not the code."""
    try:
        data = parse_json(answer.body)
    except ValueError:
        return False
    errors = ("invalid_client", "unauthorized_client")
    return isinstance(data, dict) and data.get("error") in errors


def _endpoint(value: Any) -> str:
    try:
        parse_url(value if isinstance(value, str) else "", any_port=True)
    except OutboundError:
        raise BadDiscovery("bad_endpoint") from None
    return str(value)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()

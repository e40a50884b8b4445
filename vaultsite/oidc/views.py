"""The way to a provider and back.

Both ways lead over a page of ours that moves on by itself. To the provider, since a form may be sent to
ourselves alone (`form-action 'self'`). Back, since the cookie of the session that begins here is
SameSite=Strict: browsers send it only with what a page of ours asks for.
"""

import logging
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from secrets_app.services.access import client_address
from secrets_app.services.caller import Actor
from secrets_app.services.identity import digest_of, principal_for_user
from vaultsite.accounts.adapter import AccountAdapter
from vaultsite.accounts.invitations import find_invitation
from vaultsite.accounts.models import User
from vaultsite.accounts.sign_in import PROVIDERS_FACTOR, count_attempt, record_sign_in
from vaultsite.oidc.endpoints import endpoints_of, exchange_code, fetch_userinfo
from vaultsite.oidc.flow import begin_flow, drop, keep, take_flow
from vaultsite.oidc.id_token import Identity, identify, read_id_token, with_userinfo
from vaultsite.oidc.people import person_of
from vaultsite.oidc.providers import Provider, find_provider
from vaultsite.oidc.refused import SignInRefused

logger = logging.getLogger(__name__)

_MAX_CODE_CHARS = 4096
# Which words a page has for a reason. All others are for the operator to look up.
_PAGES = {
    "access_denied": "denied",
    "address_of_another": "other",
    "already_linked": "linked",
    "bad_invitation": "invitation",
    "inactive": "inactive",
    "login_required": "denied",
    "no_flow": "stale",
    "other_provider": "stale",
    "provider_unavailable": "unavailable",
    "required_claim": "unknown",
    "state_used": "stale",
    "temporarily_unavailable": "unavailable",
    "server_error": "unavailable",
    "unknown_person": "unknown",
}
_STATUS = {"unavailable": 503, "stale": 400}
# RFC 6749, 4.1.2.1, and OpenID Connect Core 1.0, 3.1.2.6.
_ERRORS = {
    "access_denied",
    "account_selection_required",
    "consent_required",
    "interaction_required",
    "invalid_request",
    "invalid_scope",
    "login_required",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_response_type",
}


@never_cache
@require_POST
def start(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Send somebody to a provider: `next` is where to go on, `invitation` the token of a link.

    Raises TooManyRequests. What is asked of a provider later needs an attempt that was begun here.
    """
    provider = _provider(provider_id)
    count_attempt(request)
    token, target = request.POST.get("invitation", ""), request.POST.get("next", "")
    try:
        if token and find_invitation(token) is None:
            raise SignInRefused("bad_invitation")
        endpoints = endpoints_of(provider)
    except SignInRefused as refusal:
        return _refused(request, provider, refusal)
    flow = begin_flow(
        next_url=target if AccountAdapter(request).is_safe_url(target) else "",
        invitation=digest_of(token) if token else "",
    )
    asked = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": _redirect_uri(request, provider),
        "scope": " ".join(provider.scopes),
        "state": flow.state,
        "nonce": flow.nonce,
        "code_challenge": flow.challenge,
        "code_challenge_method": "S256",
    }
    sign = "&" if "?" in endpoints.authorization else "?"
    answer = _move_on(request, f"{endpoints.authorization}{sign}{urlencode(asked)}", provider.name)
    keep(answer, flow, provider)
    return answer


@never_cache
@require_GET
def callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Take a provider's answer, and sign in who it is about."""
    provider = _provider(provider_id)
    try:
        user, next_url = _identified(request, provider)
        answer = _sign_in(request, provider, user, next_url)
    except SignInRefused as refusal:
        answer = _refused(request, provider, refusal)
    drop(answer, request.GET.get("state", ""))
    return answer


def _identified(request: HttpRequest, provider: Provider) -> tuple[User, str]:
    flow = take_flow(request, provider, _one(request, "state", "no_flow"))
    endpoints = endpoints_of(provider)
    # Whose answer it is comes first (RFC 9207): nothing else in it is believed before.
    names_issuer = "iss" in request.GET or endpoints.answers_name_issuer
    if names_issuer and _one(request, "iss", "other_issuer") != provider.issuer:
        raise SignInRefused("other_issuer")
    if "error" in request.GET:
        error = request.GET["error"]
        raise SignInRefused(error if error in _ERRORS else "provider_error")
    code = _one(request, "code", "no_code")
    if not 0 < len(code) <= _MAX_CODE_CHARS:
        raise SignInRefused("no_code")
    tokens = exchange_code(
        provider,
        endpoints,
        code=code,
        verifier=flow.verifier,
        redirect_uri=_redirect_uri(request, provider),
    )
    claims = read_id_token(
        tokens.id_token, provider=provider, endpoints=endpoints, nonce=flow.nonce
    )
    if provider.asks_userinfo:
        if tokens.access_token is None:
            raise SignInRefused("no_userinfo")
        userinfo = fetch_userinfo(provider, endpoints, tokens.access_token)
        claims = with_userinfo(claims, userinfo, provider)
    identity: Identity = identify(claims, provider)
    user = person_of(
        identity,
        invitation=flow.invitation,
        actor_for=lambda person: _actor(request, person),
    )
    return user, flow.next


def _sign_in(request: HttpRequest, provider: Provider, user: User, next_url: str) -> HttpResponse:
    """Go through the steps that all who sign in go through, such as the second factor."""
    record_authentication(request, user, "socialaccount", provider=provider.id)
    if provider.has_second_factor:
        record_authentication(request, user, "mfa", type=PROVIDERS_FACTOR)
    login = Login(user=user, redirect_url=next_url or None)
    answer: HttpResponse = perform_login(request, login)
    if isinstance(answer, HttpResponseRedirect):
        return _move_on(request, answer.url, "Vaultsite")
    return answer


def _refused(request: HttpRequest, provider: Provider, refusal: SignInRefused) -> HttpResponse:
    """Tell the person what to do, and the log and the event why.

    Nothing that the provider or the browser sent is shown. Raises TooManyRequests.
    """
    reason, user = refusal.reason, refusal.user
    logger.warning("sign-in by the provider %s refused: %s", provider.id, reason)
    email = "" if user is None else user.email
    method = f"oidc_{provider.id}"
    record_sign_in(request, user=None, email=email, method=method, reason=reason)
    page = _PAGES.get(reason, "failed")
    context: dict[str, Any] = {"provider": provider, "page": page}
    context["request_id"] = getattr(request, "request_id", "")
    return render(request, "accounts/provider_refused.html", context, status=_STATUS.get(page, 403))


def _move_on(request: HttpRequest, url: str, name: str) -> HttpResponse:
    return render(request, "accounts/move_on.html", {"url": url, "name": name})


def _provider(provider_id: str) -> Provider:
    provider = find_provider(provider_id)
    if provider is None:
        raise Http404
    return provider


def _one(request: HttpRequest, name: str, reason: str) -> str:
    """Return a parameter that is there exactly once."""
    given = request.GET.getlist(name)
    if len(given) != 1:
        raise SignInRefused(reason)
    return given[0]


def _redirect_uri(request: HttpRequest, provider: Provider) -> str:
    path = reverse("oidc_callback", args=[provider.id])
    return settings.PUBLIC_URL + path if settings.PUBLIC_URL else request.build_absolute_uri(path)


def _actor(request: HttpRequest, user: User) -> Actor:
    principal = principal_for_user(user)
    request_id = getattr(request, "request_id", None) or uuid4()
    return Actor(principal.id, principal.kind, client_address(request), request_id)

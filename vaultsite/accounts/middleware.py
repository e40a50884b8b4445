"""Hold every page to the second factor, and note when a web session was last seen."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone

from vaultsite.accounts.lockout import address
from vaultsite.accounts.models import User
from vaultsite.accounts.second_factor import has_second_factor, is_required
from vaultsite.accounts.sign_in import has_shown_factor

# What is the same for everybody reads no session.
_PUBLIC = {"home", "docs", "metrics", "livez", "readyz"}
_APIS = {"secrets_app", "vault_api"}
# What somebody needs who must set up a factor first.
_ON_THE_WAY = {
    "account_login",
    "account_logout",
    "account_reauthenticate",
    "mfa_index",
    "mfa_activate_totp",
    "mfa_add_webauthn",
    "mfa_view_recovery_codes",
    "logout",
    "jsi18n",
}
_SEEN_EVERY = timedelta(minutes=1)


class SecondFactorRequired:
    """Shows no page to a session without the second factor that its person has or must have."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, arguments: Any, keywords: Any
    ) -> HttpResponse | None:
        if _is_public(request):
            return None
        user = request.user
        if settings.SECOND_FACTOR == "off" or not isinstance(user, User):
            return None
        if has_shown_factor(request, user):
            return None
        if has_second_factor(user):
            # This session is older than the second factor, which was set up in another one.
            logout(request)
            return redirect("account_login")
        if is_required(user) and _name(request) not in _ON_THE_WAY:
            return redirect("mfa_index")
        return None


class WebSessionSeen:
    """Notes when and from where a web session was last used, at most once a minute."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, arguments: Any, keywords: Any
    ) -> HttpResponse | None:
        if not _is_public(request) and request.user.is_authenticated:
            now = timezone.now()
            UserSession.objects.filter(
                session_key=request.session.session_key, last_seen_at__lt=now - _SEEN_EVERY
            ).update(last_seen_at=now, ip=address(request))
        return None


def _is_public(request: HttpRequest) -> bool:
    match = request.resolver_match
    return match is None or match.url_name in _PUBLIC or match.app_name in _APIS


def _name(request: HttpRequest) -> str | None:
    return None if request.resolver_match is None else request.resolver_match.url_name

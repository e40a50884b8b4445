"""Set up, require and remove second factors of the admin's users; each change has its event.

`ADMIN_OTP` says who needs one: `off` (nobody), `optional` (whoever sets one up), `superusers` or
`everybody`, who must set one up before anything else.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django_otp import login as note_second_factor

from secrets_app.services.audit import SUCCESS, Resource, record, record_failure
from secrets_app.services.caller import Actor
from secrets_app.services.identity import principal_for_user, seed_of
from vaultsite.accounts.models import SecondFactor, User, code_maker, is_code

# The admin's pages for signing in and out, and their translations, need no second factor.
_OPEN_PAGES = {"login", "logout", "jsi18n"}


def is_required(user: User) -> bool:
    """Tell whether this person must have a second factor."""
    rule = settings.ADMIN_OTP
    return rule == "everybody" or (rule == "superusers" and user.is_superuser)


class SecondFactorRequired:
    """Middleware: shows no page of the admin without the second factor that a person has or must have."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, arguments: Any, keywords: Any
    ) -> HttpResponse | None:
        match = request.resolver_match
        if match is None or match.url_name in _OPEN_PAGES:
            return None
        if match.app_name != "admin" and match.url_name != "own-password":
            return None
        user = request.user
        if settings.ADMIN_OTP == "off" or not isinstance(user, User) or not user.is_staff:
            return None
        if request.user.is_verified():  # type: ignore[union-attr]
            return None
        if SecondFactor.objects.filter(user=user, confirmed=True).exists():
            # This session is older than the second factor, which was set up in another one.
            logout(request)
            return redirect("admin:login")
        return redirect("second-factor") if is_required(user) else None


def add_second_factor(
    *, request: HttpRequest, user: User, key_number: int, salt: bytes, code: str, actor: Actor
) -> bool:
    """Set up a second factor if the code is one of this salt's. The session is then verified.

    Returns whether it was. Raises OpenError, ProviderError.
    """
    totp = code_maker(seed_of(key_number=key_number, salt=salt))
    if not is_code(code) or not totp.verify(int(code), tolerance=1):
        _record("auth.second_factor_add", user, actor, "bad_code")
        return False
    with transaction.atomic():
        factor = SecondFactor.objects.create(
            user=user, name="app", key_number=key_number, salt=salt, last_t=totp.t()
        )
        _record("auth.second_factor_add", user, actor)
    note_second_factor(request, factor)
    return True


def remove_second_factor(*, user: User, code: str, actor: Actor) -> bool:
    """Remove a person's own second factor if the code is right. Returns whether it was.

    Raises OpenError, ProviderError.
    """
    factor = SecondFactor.objects.filter(user=user).first()
    if factor is None or not factor.verify_token(code):
        _record("auth.second_factor_remove", user, actor, "bad_code")
        return False
    forget_second_factor(user=user, actor=actor)
    return True


def forget_second_factor(*, user: User, actor: Actor) -> bool:
    """Remove a second factor without a code, as an operator. Returns False when there is none."""
    with transaction.atomic():
        removed, _ = SecondFactor.objects.filter(user=user).delete()
        if removed:
            _record("auth.second_factor_remove", user, actor)
    return bool(removed)


def _record(action: str, user: User, actor: Actor, reason: str | None = None) -> None:
    resource = Resource("principal", principal_for_user(user).id)
    if reason is not None:
        record_failure(action, actor=actor, resource=resource, details={"reason": reason})
        return
    with transaction.atomic():
        record(action, SUCCESS, actor=actor, resource=resource)

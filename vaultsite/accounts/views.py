"""Let people manage their own second factor and password."""

from base64 import b32encode
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import segno
from django.conf import settings
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import Resolver404, resolve, reverse
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_http_methods

from secrets_app.admin.acting import actor_of
from secrets_app.services.identity import generate_salt, seed_of
from vaultsite.accounts.models import SecondFactor, User
from vaultsite.accounts.password import OwnPasswordView
from vaultsite.accounts.second_factor import (
    add_second_factor,
    is_required,
    remove_second_factor,
)

_SALT_KEY = "second_factor_drawn"
_ISSUER = "Vaultsite"
_WRONG = "This is not the code of now. Wait for the next one and try again."


def sign_in(request: HttpRequest) -> HttpResponseBase:
    """The admin's own, which goes on to `next` only where that is a page."""
    answer = admin.site.login(request)
    if isinstance(answer, HttpResponseRedirect) and not _is_page(answer.url):
        return redirect("admin:index")
    return answer


def _is_page(url: str) -> bool:
    """Whether a person can go there. Django has refused other hosts already."""
    try:
        match = resolve(urlsplit(url).path)
    except Resolver404:
        return False
    # Without a name: the admin's own answer to what it does not know. Signing out is no page to go to.
    return match.url_name not in (None, "logout") and match.app_name != "secrets_app"


@require_http_methods(["GET", "POST"])
def second_factor(request: HttpRequest) -> HttpResponse:
    """Show the seed until a code confirms it, and never again."""
    user = request.user
    if settings.ADMIN_OTP == "off" or not isinstance(user, User):
        raise Http404
    factor = SecondFactor.objects.filter(user=user).first()
    if request.method == "POST":
        code = request.POST.get("code", "").replace(" ", "")
        done = _add(request, user, code) if factor is None else _remove(request, user, code)
        if done:
            return redirect("admin:index" if factor is None else "second-factor")
        messages.error(request, _WRONG)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Second factor",
        "factor": factor,
        "is_required": is_required(user),
    }
    return TemplateResponse(
        request,
        "accounts/second_factor.html",
        context if factor else context | _shown(user, *_pending_salt(request)),
    )


def own_password(request: HttpRequest) -> HttpResponseBase:
    """Replace Django's page, which would leave no event and end no token."""
    view = OwnPasswordView.as_view(
        success_url=reverse("admin:password_change_done"),
        extra_context=admin.site.each_context(request),
    )
    return view(request)


def _add(request: HttpRequest, user: User, code: str) -> bool:
    number, salt = _pending_salt(request)
    done = add_second_factor(
        request=request,
        user=user,
        key_number=number,
        salt=salt,
        code=code,
        actor=actor_of(request),
    )
    if done:
        del request.session[_SALT_KEY]
        messages.success(request, "Your second factor is set up. You are asked for it from now on.")
    return done


def _remove(request: HttpRequest, user: User, code: str) -> bool:
    done = remove_second_factor(user=user, code=code, actor=actor_of(request))
    if done:
        messages.success(request, "Your second factor is taken away.")
    return done


def _pending_salt(request: HttpRequest) -> tuple[int, bytes]:
    """Return the salt that this session tries. The seed itself exists on the page only."""
    if _SALT_KEY not in request.session:
        number, salt = generate_salt()
        request.session[_SALT_KEY] = [number, salt.hex()]
    number, salt_hex = request.session[_SALT_KEY]
    return number, bytes.fromhex(salt_hex)


def _shown(user: User, number: int, salt: bytes) -> dict[str, Any]:
    seed = b32encode(seed_of(key_number=number, salt=salt)).decode()
    label = quote(f"{_ISSUER}:{user.email}")
    url = f"otpauth://totp/{label}?{urlencode({'secret': seed, 'issuer': _ISSUER})}"
    qr = segno.make(url, error="m").svg_inline(border=2, omitsize=True)
    return {"seed": seed, "qr": mark_safe(qr)}  # noqa: S308  (drawn by the library from the URL)

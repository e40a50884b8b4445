"""Pages of one's own account: second factors and recovery codes."""

import json
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_GET, require_http_methods, require_safe

from secrets_app.admin.acting import actor_of
from secrets_app.errors import Conflict
from secrets_app.services.identity import open_factor
from vaultsite.accounts import factors, passkeys
from vaultsite.accounts.adapter import AccountAdapter
from vaultsite.accounts.forms import STATE, AddPasskeyForm, NewAppForm, parsed
from vaultsite.accounts.mfa_adapter import MFAAdapter
from vaultsite.accounts.models import User
from vaultsite.accounts.second_factor import (
    PASSKEY,
    TOTP,
    has_second_factor,
    is_required,
    is_set_up,
)
from vaultsite.accounts.views import sign_in_again

_SECRET = "new_app"  # noqa: S105  (where a session keeps it, sealed)
_SURE_FOR_S = 300
_WRONG = "This is not the code of now. Wait for the next one and try again."
View = Callable[..., HttpResponse]


def is_sure(request: HttpRequest) -> bool:
    """Tell whether who is signed in proved it within five minutes, by a factor where there is one."""
    user = person(request)
    recent = [
        record
        for record in get_authentication_records(request, user)
        if 0 <= time.time() - record["at"] < _SURE_FOR_S
    ]
    if has_second_factor(user):
        return any(record["method"] == "mfa" for record in recent)
    return bool(recent) or not AccountAdapter(request).get_reauthentication_methods(user)


def for_who_is_sure(view: View) -> View:
    """Show a page to who proved themselves lately; others are asked first."""

    @login_required
    @wraps(view)
    def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if settings.SECOND_FACTOR == "off":
            raise Http404
        return view(request, *args, **kwargs) if is_sure(request) else sign_in_again(request)

    return shown


def person(request: HttpRequest) -> User:
    return cast(User, request.user)


@login_required
@require_safe
def account(request: HttpRequest) -> HttpResponse:
    return render(
        request, "accounts/account.html", {"takes_factors": settings.SECOND_FACTOR != "off"}
    )


@login_required
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    if settings.SECOND_FACTOR == "off":
        raise Http404
    user = person(request)
    is_set_up(user)  # takes over one of an earlier release
    rows = list(Authenticator.objects.filter(user=user).order_by("created_at"))
    context = {
        "app": next((row for row in rows if row.type == TOTP), None),
        "passkeys": [row for row in rows if row.type == PASSKEY],
        "codes_left": factors.count_recovery_codes(user),
        "is_required": is_required(user),
        "has_factor": has_second_factor(user),
    }
    return render(request, "accounts/factors.html", context)


@for_who_is_sure
@require_http_methods(["GET", "HEAD", "POST"])
def add_app(request: HttpRequest) -> HttpResponse:
    """Show the secret until a code confirms it, and never again."""
    user = person(request)
    if is_set_up(user, (TOTP,)):
        return redirect("mfa_index")
    sealed = request.session.setdefault(_SECRET, None) or factors.new_secret()
    request.session[_SECRET] = sealed
    form = NewAppForm(request.POST or None)
    if form.is_valid():
        code, actor = form.cleaned_data["code"], actor_of(request)
        if factors.add_totp(user=user, sealed=sealed, code=code, actor=actor, keep=request):
            del request.session[_SECRET]
            return _added(request, user, TOTP)
        form.add_error("code", _WRONG)
    secret = open_factor(sealed)
    adapter = MFAAdapter()
    # Drawn by the library from the URL.
    picture = mark_safe(_drawn(adapter.build_totp_svg(adapter.build_totp_url(user, secret))))  # noqa: S308
    context = {"form": form, "secret": secret, "picture": picture}
    return render(request, "accounts/add_app.html", context)


@for_who_is_sure
@require_http_methods(["GET", "HEAD", "POST"])
def add_passkey(request: HttpRequest) -> HttpResponse:
    user = person(request)
    form = AddPasskeyForm(request.POST or None)
    if form.is_valid():
        state = request.session.pop(STATE, None)
        try:
            data = passkeys.complete_registration(
                user=user,
                state=state,
                credential=parsed(form.cleaned_data["credential"]),
                name=form.cleaned_data["name"],
                request=request,
            )
            factors.add_passkey(user=user, data=data, actor=actor_of(request), keep=request)
        except passkeys.Refused as refused:
            reason = refused.reason
            factors.refuse_factor(factors.ADD, user=user, actor=actor_of(request), reason=reason)
            form.add_error(None, "This passkey was not accepted. Try again.")
        except Conflict as error:
            form.add_error(None, error.detail)
        else:
            return _added(request, user, PASSKEY)
    options, request.session[STATE] = passkeys.begin_registration(user=user, request=request)
    context = {"form": form, "options": json.dumps(options)}
    return render(request, "accounts/add_passkey.html", context)


@for_who_is_sure
@require_http_methods(["GET", "HEAD", "POST"])
def remove_factor(request: HttpRequest, factor_id: int) -> HttpResponse:
    user = person(request)
    row = get_object_or_404(Authenticator, user=user, pk=factor_id, type__in=(TOTP, PASSKEY))
    refusal = None
    if request.method == "POST":
        try:
            factors.remove_factor(user=user, factor_id=row.pk, actor=actor_of(request))
        except Conflict as error:
            refusal = error.detail
        except Authenticator.DoesNotExist:
            raise Http404 from None
        else:
            return redirect("mfa_index")
    return render(request, "accounts/remove_factor.html", {"row": row, "refusal": refusal})


@for_who_is_sure
@require_GET  # A HEAD would spend them: they are shown once.
def recovery_codes(request: HttpRequest) -> HttpResponse:
    codes = factors.show_recovery_codes(person(request))
    if codes is None:
        return redirect("mfa_index")
    return render(request, "accounts/recovery_codes.html", {"codes": codes})


@for_who_is_sure
@require_http_methods(["GET", "HEAD", "POST"])
def renew_recovery_codes(request: HttpRequest) -> HttpResponse:
    """Make new ones. GET is who had to prove themselves first, and chooses again."""
    if request.method != "POST":
        return redirect("mfa_index")
    try:
        factors.renew_recovery_codes(user=person(request), actor=actor_of(request))
    except Conflict as error:
        raise PermissionDenied(error.detail) from None
    return redirect("mfa_view_recovery_codes")


def _added(request: HttpRequest, user: User, kind: str) -> HttpResponse:
    """Go on as somebody who has shown the new factor."""
    record_authentication(request, user, "mfa", type=kind, reauthenticated=True)
    return redirect("mfa_view_recovery_codes")


def _drawn(svg: str) -> str:
    return svg[svg.index("<svg") :]

"""The page where people let in a device that has no browser: the verification URI of RFC 8628.

To open it decides nothing, and asks nothing of the database about the code that its address may hold: a
person sends the code, sees what waits with it, and then decides. It needs no script.
"""

from typing import Any, cast

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from secrets_app.admin.acting import actor_of
from secrets_app.errors import Conflict, Forbidden, NotFound
from secrets_app.http.throttling import count_code_attempt
from secrets_app.services.identity import (
    Approver,
    approve_device,
    deny_device,
    look_at_device,
    principal_for_user,
)
from vaultsite.accounts.models import User
from vaultsite.accounts.sign_in import has_shown_factor

# Stricter than that of other pages: no script at all.
_CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
_DECISIONS = {"approve": approve_device, "deny": deny_device}
_TEMPLATE = "accounts/device.html"


class CodeForm(forms.Form):
    user_code = forms.CharField(
        max_length=32,
        label="The code that the device shows",
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}
        ),
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def device_page(request: HttpRequest) -> HttpResponse:
    """Ask for the code, show what waits with it, decide."""
    answer = _page(request)
    answer.headers["Content-Security-Policy"] = _CONTENT_SECURITY_POLICY
    return answer


@login_required
def _page(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        given = request.GET.get("user_code", "")[:32]
        return _show(request, form=CodeForm(initial={"user_code": given}))
    form = CodeForm(request.POST)
    if not form.is_valid():
        return _show(request, form=form)
    code = form.cleaned_data["user_code"]
    approver = _approver(request)
    count_code_attempt(approver.principal.pk, approver.actor.address)
    step = request.POST.get("step", "")
    decide = _DECISIONS.get(step, look_at_device)
    try:
        device = decide(user_code=code, approver=approver)
    except (NotFound, Conflict, Forbidden) as refusal:
        form.add_error(None, refusal.detail)
        return _show(request, form=form)
    return _show(request, device=device, code=code, done=step if step in _DECISIONS else "")


def _show(request: HttpRequest, **context: Any) -> HttpResponse:
    return render(request, _TEMPLATE, context)


def _approver(request: HttpRequest) -> Approver:
    user = cast(User, request.user)
    principal = principal_for_user(user)
    return Approver(
        principal=principal,
        actor=actor_of(request),
        generation=principal.token_generation,
        second_factor=has_shown_factor(request, user),
    )

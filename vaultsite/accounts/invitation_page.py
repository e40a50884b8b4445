"""Let somebody accept an invitation: with a password, or with an account at a provider."""

from typing import Any
from uuid import uuid4

from django import forms
from django.contrib.auth.forms import SetPasswordForm
from django.core.validators import MaxLengthValidator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from secrets_app.conf import app_settings
from secrets_app.services.access import client_address
from secrets_app.services.caller import Actor
from vaultsite.accounts.forms import LONGEST_PASSWORD
from vaultsite.accounts.invitations import accept_invitation, find_invitation
from vaultsite.accounts.models import Invitation, User
from vaultsite.oidc.providers import read_providers


class NewPasswordForm(SetPasswordForm):  # type: ignore[type-arg]
    """Checks a password as everywhere, for an account that is not made yet."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.validators.append(MaxLengthValidator(LONGEST_PASSWORD))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Show an invitation, which spends nothing; make its account on POST."""
    found = find_invitation(token)
    context: dict[str, Any] = {}
    status = 200
    if found is None:
        status = 410
    elif request.method == "POST" and app_settings.PASSWORD_SIGN_IN:
        form = _form(found, request.POST)
        if form.is_valid():
            context, status = _accept(request, found, form.cleaned_data["new_password1"])
        else:
            context = _ways(found, token, form)
    else:
        context = _ways(found, token, _form(found) if app_settings.PASSWORD_SIGN_IN else None)
    answer = render(request, "accounts/invitation.html", context, status=status)
    # The address of this page is the secret. `no-referrer` would also hide where its form comes from.
    answer.headers["Referrer-Policy"] = "strict-origin"
    answer.headers["X-Robots-Tag"] = "noindex"
    return answer


def _form(found: Invitation, data: Any = None) -> NewPasswordForm:
    return NewPasswordForm(User(email=found.email), data)


def _ways(found: Invitation, token: str, form: forms.Form | None) -> dict[str, Any]:
    providers, _ = read_providers()
    return {"email": found.email, "form": form, "providers": providers, "invitation": token}


def _accept(request: HttpRequest, found: Invitation, password: str) -> tuple[dict[str, Any], int]:
    request_id = getattr(request, "request_id", None) or uuid4()
    actor = Actor(None, "anonymous", client_address(request), request_id)
    user = accept_invitation(digest=found.digest, password=password, actor_for=lambda _: actor)
    return ({}, 410) if user is None else ({"done": True}, 200)

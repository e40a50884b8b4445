"""Sign people in, out, and again: django-allauth's views with our forms, events and passkeys."""

import json
from typing import Any
from urllib.parse import urlencode

from allauth.account.models import Login
from allauth.account.views import LoginView, ReauthenticateView
from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.base.views import ReauthenticateView as ReauthenticateWithCode
from allauth.mfa.webauthn.internal.flows import perform_passwordless_login
from allauth.mfa.webauthn.views import LoginWebAuthnView, ReauthenticateWebAuthnView
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from secrets_app.conf import app_settings
from vaultsite.accounts import passkeys
from vaultsite.accounts.adapter import AccountAdapter
from vaultsite.accounts.forms import (
    STATE,
    CodeAgainForm,
    CodeForm,
    PasskeyAgainForm,
    PasskeyForm,
    PasswordAgainForm,
    SignInForm,
)
from vaultsite.accounts.models import User
from vaultsite.accounts.second_factor import PASSKEY, RECOVERY_CODES, TOTP, is_set_up
from vaultsite.accounts.sign_in import METHODS, count_attempt, record_again
from vaultsite.accounts.web_sessions import hold_briefly
from vaultsite.oidc.providers import read_providers


@never_cache  # it says who is signed in
@require_http_methods(["GET", "HEAD", "POST"])
def admin_sign_in(request: HttpRequest) -> HttpResponseBase:
    """Lead to the sign-in that all pages share, and tell who may not see the admin."""
    target = request.GET.get("next", "")
    user = request.user
    if user.is_authenticated and not user.is_staff:
        return render(request, "accounts/no_staff.html", status=403)
    wanted = target if AccountAdapter(request).is_safe_url(target) else reverse("admin:index")
    if user.is_authenticated:
        return redirect(wanted)
    return redirect_to_login(wanted, reverse("account_login"))


def other_ways() -> dict[str, Any]:
    """Return what the sign-in page needs to know beside its form."""
    return {"providers": read_providers()[0], "takes_passwords": app_settings.PASSWORD_SIGN_IN}


class SignIn(LoginView):  # type: ignore[misc]
    form_class = SignInForm
    template_name = "accounts/sign_in.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return dict(super().get_context_data(**kwargs)) | other_ways()


class PasskeySignIn(LoginWebAuthnView):  # type: ignore[misc]
    """GET gives a challenge as JSON, POST takes the answer of a passkey that verifies its holder."""

    form_class = PasskeyForm
    http_method_names = ["get", "post"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            count_attempt(request)
            hold_briefly(request)
        options, request.session[STATE] = passkeys.begin_assertion(user=None, request=request)
        return JsonResponse(options)

    def form_valid(self, form: PasskeyForm) -> HttpResponse:
        row = form.cleaned_data["credential"]
        target = self.request.POST.get("next", "")
        is_safe = AccountAdapter(self.request).is_safe_url(target)
        login = Login(user=row.user, redirect_url=target if is_safe else None)
        answer: HttpResponse = perform_passwordless_login(self.request, row, login)
        return answer

    def form_invalid(self, form: PasskeyForm) -> HttpResponse:
        context = {"form": SignInForm(request=self.request), "passkey_errors": form.errors}
        return render(self.request, "accounts/sign_in.html", context | other_ways())


class SecondStep(AuthenticateView):  # type: ignore[misc]
    form_class = CodeForm
    webauthn_form_class = PasskeyForm
    template_name = "accounts/second_step.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        user: User = self.stage.login.user
        # Past the library's own, which begins a challenge of its own.
        context = super(AuthenticateView, self).get_context_data(**kwargs)
        context |= {"form": self.auth_form, "passkey_form": self.webauthn_form}
        context["takes_codes"] = is_set_up(user, (TOTP, RECOVERY_CODES))
        if is_set_up(user, (PASSKEY,)):
            context |= _challenge(self.request, user)
        return dict(context)


class PasswordAgain(ReauthenticateView):  # type: ignore[misc]
    form_class = PasswordAgainForm
    template_name = "accounts/again.html"

    def form_valid(self, form: PasswordAgainForm) -> HttpResponse:
        record_again(self.request, method="session")
        answer: HttpResponse = super().form_valid(form)
        return answer


class CodeAgain(ReauthenticateWithCode):  # type: ignore[misc]
    form_class = CodeAgainForm
    template_name = "accounts/again.html"

    def form_valid(self, form: CodeAgainForm) -> HttpResponse:
        record_again(self.request, method=METHODS[form.authenticator.type])
        answer: HttpResponse = super().form_valid(form)
        return answer


class PasskeyAgain(ReauthenticateWebAuthnView):  # type: ignore[misc]
    form_class = PasskeyAgainForm
    template_name = "accounts/again.html"

    def form_valid(self, form: PasskeyAgainForm) -> HttpResponse:
        record_again(self.request, method=METHODS["webauthn"])
        form.save()
        answer: HttpResponse = super(ReauthenticateWebAuthnView, self).form_valid(form)
        return answer

    def form_invalid(self, form: PasskeyAgainForm) -> HttpResponse:
        answer: HttpResponse = self.render_to_response(self.get_context_data(form=form))
        return answer

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super(ReauthenticateWebAuthnView, self).get_context_data(**kwargs)
        return dict(context) | _challenge(self.request, self.request.user)


def _challenge(request: HttpRequest, user: Any) -> dict[str, Any]:
    options, request.session[STATE] = passkeys.begin_assertion(user=user, request=request)
    return {"options": json.dumps(options)}


def sign_in_again(request: HttpRequest) -> HttpResponse:
    """Ask who is signed in to prove it once more, and come back to this page."""
    methods = AccountAdapter(request).get_reauthentication_methods(request.user)  # type: ignore[arg-type]
    return redirect(f"{methods[0]['url']}?{urlencode({'next': request.path})}")

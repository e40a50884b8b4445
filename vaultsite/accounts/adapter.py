"""Tell django-allauth how accounts work here."""

from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.stagekit import clear_login
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve, reverse
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme

from secrets_app.conf import app_settings
from secrets_app.errors import LockedOut, PasswordsOff, TooManyRequests
from secrets_app.services.identity.passwords import check_password
from vaultsite.accounts.lockout import address
from vaultsite.accounts.models import User
from vaultsite.accounts.sign_in import count_attempt, method_of, record_sign_in
from vaultsite.accounts.web_sessions import hold_as_usual

# Where a session keeps the digest of password and generation that a sign-in began with.
_BEGUN_AS = "sign_in_begun_as"


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": "Address or password is wrong.",
        "incorrect_password": "This is not your password.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Tell that nobody makes an account by themselves: operators invite people."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the client's address as everywhere else."""
        return address(request)

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Check a password, counted and recorded as over the API.

        Raises LockedOut, TooManyRequests.
        """
        email = str(credentials.get("email") or "")
        count_attempt(request)
        try:
            user: User | None = check_password(
                username=email, password=credentials.get("password") or "", request=request
            )
        except LockedOut:
            with suppress(TooManyRequests):  # the lockout says more
                _refuse(request, email, "locked_out")
            raise
        if user is None:
            is_off = not app_settings.PASSWORD_SIGN_IN
            _refuse(request, email, "passwords_off" if is_off else "bad_credentials")
        return user

    def validation_error(self, code: str, *args: Any) -> ValidationError:
        """Say that passwords are switched off rather than that one is wrong: of every account alike."""
        is_about_password = code in ("email_password_mismatch", "incorrect_password")
        if is_about_password and not app_settings.PASSWORD_SIGN_IN:
            return ValidationError(PasswordsOff.detail, code="passwords_off")
        error: ValidationError = super().validation_error(code, *args)
        return error

    def reauthenticate(self, user: User, password: str) -> bool:
        """Tell whether this is the password of who is signed in. Raises TooManyRequests."""
        found = self.authenticate(self.request, email=user.email, password=password)
        return found is not None and found.pk == user.pk

    def pre_login(self, request: HttpRequest, user: User, **hook: Any) -> HttpResponse | None:
        """Go on only with somebody who is active, in a session with a new key."""
        if not user.is_active:
            method = method_of(request, user)
            clear_login(request)
            _refuse(request, user.email, "inactive", method)
            answer: HttpResponse = self.respond_user_inactive(request, user)
            return answer
        # What is half signed in is nothing that somebody else has put here.
        request.session.cycle_key()
        request.session[_BEGUN_AS] = user.get_session_auth_hash()
        return None

    def login(self, request: HttpRequest, user: User) -> None:
        """Sign in, after all steps. Without the event there is no session.

        What ends the person's sessions, such as a new password, ends a sign-in that has only begun as well.
        """
        begun_as = request.session.pop(_BEGUN_AS, "")
        if not user.is_active or not constant_time_compare(begun_as, user.get_session_auth_hash()):
            clear_login(request)
            raise PermissionDenied
        with transaction.atomic():
            method = method_of(request, user)
            record_sign_in(request, user=user, email=user.email, method=method)
            super().login(request, user)
            hold_as_usual(request)

    def get_reauthentication_methods(self, user: User) -> list[dict[str, Any]]:
        """Return how to prove oneself again: by a second factor where there is one."""
        methods = super().get_reauthentication_methods(user)
        factors = [each for each in methods if each["id"] != "reauthenticate"]
        return factors or (methods if app_settings.PASSWORD_SIGN_IN else [])

    def get_login_stages(self) -> list[str]:
        """Return the library's steps, with ours in the place of that of the second factor."""
        ours = {
            "allauth.mfa.stages.AuthenticateStage": "vaultsite.accounts.stages.SecondFactorStage"
        }
        return [ours.get(each, each) for each in super().get_login_stages()]

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        return reverse("admin:index" if request.user.is_staff else "account")

    def get_logout_redirect_url(self, request: HttpRequest) -> str:
        return reverse("account_login")

    def is_safe_url(self, url: str | None) -> bool:
        """Tell whether to go on there: only pages of this service, named without a host."""
        if not url or not url.startswith("/") or not url.isprintable():
            return False
        if not url_has_allowed_host_and_scheme(url, allowed_hosts=None):
            return False
        try:
            match = resolve(urlsplit(url).path)
        except (Resolver404, ValueError):
            return False
        # Without a name: the admin's own answer to what it does not know. To sign out is no way on.
        is_way_out = match.url_name in (
            None,
            "logout",
            "account_logout",
            "account_login",
            "sign-in",
        )
        return not is_way_out and match.app_name not in ("secrets_app", "vault_api")


def _refuse(request: HttpRequest, email: str, reason: str, method: str = "session") -> None:
    record_sign_in(request, user=None, email=email, method=method, reason=reason)

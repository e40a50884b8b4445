"""Sign in to the admin. Every attempt leaves an event; if that cannot be written, nobody gets in."""

from typing import Any
from uuid import uuid4

from django import forms
from django.conf import settings
from django.contrib.auth.signals import user_login_failed
from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm
from unfold.widgets import UnfoldAdminTextInputWidget

from secrets_app.services.access import client_address
from secrets_app.services.caller import Actor
from secrets_app.services.identity import record_session_sign_in
from vaultsite.accounts.models import CODE_DIGITS, SecondFactor


class SignInForm(AuthenticationForm):  # type: ignore[misc]
    """E-mail address, password, and a code from those who have a second factor.

    A wrong code gets the same message and is counted like a wrong password, so it reveals nothing about
    either.
    """

    error_messages = AuthenticationForm.error_messages | {
        "invalid_login": "Address, password or code is wrong, or this person may not sign in here."
    }
    code = forms.CharField(
        required=False,
        max_length=CODE_DIGITS,
        label="Code, if you have set up a second factor",
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if settings.ADMIN_OTP == "off":
            del self.fields["code"]

    def clean(self) -> dict[str, Any]:
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            self._record(self._reason())
            raise
        if self.user_cache is None:  # a field was empty
            return cleaned
        factor = None
        if settings.ADMIN_OTP != "off":
            factor = SecondFactor.objects.filter(user=self.user_cache, confirmed=True).first()
        if factor is not None:
            self._check_code(factor, str(cleaned.get("code") or ""))
        self._record(None, method="session_totp" if factor else "session")
        return cleaned

    def _check_code(self, factor: SecondFactor, code: str) -> None:
        if factor.verify_token(code):
            # With this, Django's `login` marks the session as verified by the second factor.
            self.user_cache.otp_device = factor
            return
        credentials = {"username": self.cleaned_data["username"]}
        user_login_failed.send(sender=__name__, credentials=credentials, request=self.request)
        self._record("bad_code", method="session_totp")
        raise self.get_invalid_login_error()

    def _reason(self) -> str:
        if getattr(self.request, "axes_locked_out", False):
            return "locked_out"
        return "bad_credentials" if self.user_cache is None else "not_staff"

    def _record(self, reason: str | None, method: str = "session") -> None:
        address = None if self.request is None else client_address(self.request)
        request_id = getattr(self.request, "request_id", None) or uuid4()
        record_session_sign_in(
            user=self.user_cache,
            email=str(self.cleaned_data.get("username") or ""),
            reason=reason,
            actor=Actor(None, "anonymous", address, request_id),
            method=method,
        )

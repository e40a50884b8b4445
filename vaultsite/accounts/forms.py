"""Forms of django-allauth with our checks behind them. Fields are bounded before anything is computed."""

import json
from contextlib import suppress
from typing import Any

from allauth.account.forms import LoginForm, ReauthenticateForm
from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.base.forms import ReauthenticateForm as ReauthenticateWithCode
from allauth.mfa.base.internal.flows import post_authentication
from allauth.mfa.models import Authenticator
from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator

from secrets_app.errors import LockedOut, TooManyRequests
from vaultsite.accounts import passkeys
from vaultsite.accounts.models import User
from vaultsite.accounts.second_factor import check_code
from vaultsite.accounts.sign_in import METHODS, record_sign_in

STATE = "passkey_state"
LONGEST_PASSWORD = 4096
_LONGEST_CREDENTIAL = 32 * 1024
_WRONG_CODE = "This is not a code of now, or it was used already. Wait for the next one."
_WRONG_PASSKEY = "This passkey was not accepted. Try again."


class SignInForm(LoginForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].validators.append(MaxLengthValidator(LONGEST_PASSWORD))


class PasswordAgainForm(ReauthenticateForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].validators.append(MaxLengthValidator(LONGEST_PASSWORD))


def code_field(label: str) -> forms.CharField:
    attributes = {"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}
    return forms.CharField(max_length=32, label=label, widget=forms.TextInput(attributes))


class _Code:
    """Checks a code in the one place that does, and records a wrong one."""

    user: User
    cleaned_data: dict[str, Any]

    def clean_code(self) -> str:
        code = str(self.cleaned_data["code"])
        request = context.request
        try:
            kind = check_code(user=self.user, code=code, request=request)
        except LockedOut:
            with suppress(TooManyRequests):  # the lockout says more
                self._record("locked_out")
            raise
        if kind is None:
            self._record("bad_code")
            raise ValidationError(_WRONG_CODE)
        self.authenticator = Authenticator.objects.get(user=self.user, type=kind)
        return code

    def _record(self, reason: str) -> None:
        email, method = self.user.email, METHODS["totp"]
        record_sign_in(context.request, user=None, email=email, method=method, reason=reason)


class CodeForm(_Code, AuthenticateForm):  # type: ignore[misc]
    code = code_field("Code of your authenticator app, or a recovery code")


class CodeAgainForm(_Code, ReauthenticateWithCode):  # type: ignore[misc]
    code = code_field("Code of your authenticator app, or a recovery code")


class PasskeyForm(forms.Form):
    """A passkey as the second step. Without a user: as the whole of a sign-in."""

    credential = forms.CharField(
        max_length=_LONGEST_CREDENTIAL,
        widget=forms.HiddenInput,
        error_messages={"required": "Your browser has sent no passkey."},
    )
    is_again = False

    def __init__(self, *args: Any, user: User | None = None, **kwargs: Any) -> None:
        self.user = user
        super().__init__(*args, **kwargs)

    def clean_credential(self) -> Authenticator:
        request = context.request
        # Taken away before it is looked at, so that a challenge is answered once.
        state = request.session.pop(STATE, None)
        try:
            return passkeys.complete_assertion(
                user=self.user,
                state=state,
                credential=parsed(self.cleaned_data["credential"]),
                request=request,
            )
        except passkeys.Refused as refused:
            email = "" if self.user is None else self.user.email
            method, reason = METHODS["webauthn"], refused.reason
            record_sign_in(request, user=None, email=email, method=method, reason=reason)
            raise ValidationError(_WRONG_PASSKEY) from None

    def save(self) -> None:
        post_authentication(
            context.request, self.cleaned_data["credential"], reauthenticated=self.is_again
        )


class PasskeyAgainForm(PasskeyForm):
    is_again = True


class AddPasskeyForm(forms.Form):
    name = forms.CharField(
        max_length=64, required=False, label="Name, for you to know it by", initial="Passkey"
    )
    credential = forms.CharField(
        max_length=_LONGEST_CREDENTIAL,
        widget=forms.HiddenInput,
        error_messages={"required": "Your browser has sent no passkey."},
    )


class NewAppForm(forms.Form):
    code = code_field("The six digits that the app shows now")


def parsed(credential: str) -> Any:
    """Return the JSON of a credential. Raises passkeys.Refused."""
    try:
        return json.loads(credential)
    except (ValueError, RecursionError):
        raise passkeys.Refused("bad_passkey") from None

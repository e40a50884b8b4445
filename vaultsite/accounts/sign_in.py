"""The admin's sign-in form. Like every way to sign in it leaves an event; without one nobody gets in."""

from typing import Any
from uuid import uuid4

from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError

from secrets_app.services.addresses import client_address
from secrets_app.services.audit import Actor
from secrets_app.services.sign_in import record_session_sign_in


class SignInForm(AdminAuthenticationForm):
    def clean(self) -> dict[str, Any]:
        try:
            cleaned = super().clean()
        except ValidationError:
            self._record(self._reason())
            raise
        if self.user_cache is not None:  # else a field was empty
            self._record(None)
        return cleaned

    def _reason(self) -> str:
        if getattr(self.request, "axes_locked_out", False):
            return "locked_out"
        return "bad_credentials" if self.user_cache is None else "not_staff"

    def _record(self, reason: str | None) -> None:
        address = None if self.request is None else client_address(self.request)
        record_session_sign_in(
            user=self.user_cache,
            email=str(self.cleaned_data.get("username") or ""),
            reason=reason,
            actor=Actor(None, "anonymous", address, uuid4()),
        )

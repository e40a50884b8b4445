"""Let people change their own password. As over the API, it is checked, counted and recorded, and ends
their tokens and other web sessions.
"""

from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.views import PasswordChangeView
from django.core.validators import MaxLengthValidator
from django.http import HttpRequest, HttpResponse
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator

from secrets_app.admin.acting import actor_of
from secrets_app.errors import InvalidInput
from secrets_app.services.caller import Caller
from secrets_app.services.identity import change_password
from vaultsite.accounts.forms import LONGEST_PASSWORD
from vaultsite.accounts.models import User

_FIELDS = {"current_password": "old_password", "new_password": "new_password2"}


class OwnPasswordForm(PasswordChangeForm):
    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        for field in self.fields.values():
            field.validators.append(MaxLengthValidator(LONGEST_PASSWORD))

    def clean_old_password(self) -> str:
        """Leave the check to the service, which counts wrong ones."""
        return str(self.cleaned_data["old_password"])

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean()  # type: ignore[assignment]
        if not self.errors:
            self._change(cleaned["old_password"], cleaned["new_password1"])
        return cleaned

    def _change(self, current: str, new: str) -> None:
        actor = actor_of(self.request)
        assert actor.id is not None  # noqa: S101  (a person has a principal)
        caller = Caller(id=actor.id, kind=actor.type, actor=actor, claims=None, vault=None)
        try:
            change_password(caller=caller, current=current, new=new, request=self.request)
        except InvalidInput as error:
            for field, messages in error.errors.items():
                for message in messages:
                    self.add_error(_FIELDS[field], str(message))

    def save(self, commit: bool = True) -> User:
        """Load the new hash for the session. `clean` has changed the password already."""
        user: User = self.user
        user.refresh_from_db()
        return user


@method_decorator(login_required, name="dispatch")
class OwnPasswordView(PasswordChangeView):
    """Raises LockedOut."""

    form_class = OwnPasswordForm
    template_name = "accounts/password.html"
    success_url = reverse_lazy("account")

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"request": self.request}

    def form_valid(self, form: Any) -> HttpResponse:
        answer = super().form_valid(form)
        # This session goes on, under another key.
        UserSession.objects.create_from_request(self.request)
        return answer

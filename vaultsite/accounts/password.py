"""Let people change their own password in the admin. As over the API, it is checked, counted and
recorded, and ends their tokens.
"""

from typing import Any

from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest
from unfold.forms import AdminOwnPasswordChangeForm

from secrets_app.admin.acting import actor_of
from secrets_app.errors import InvalidInput, LockedOut
from secrets_app.services.caller import Caller
from secrets_app.services.identity import change_password
from vaultsite.accounts.models import User

_FIELDS = {"current_password": "old_password", "new_password": "new_password2"}


class OwnPasswordForm(AdminOwnPasswordChangeForm):  # type: ignore[misc]
    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_old_password(self) -> str:
        """Leave the check to the service, which counts wrong ones."""
        return str(self.cleaned_data["old_password"])

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean()
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
        except LockedOut as error:
            self.add_error(None, error.detail)

    def save(self, commit: bool = True) -> User:
        """Load the new hash for the session. `clean` has changed the password already."""
        user: User = self.user
        user.refresh_from_db()
        return user


class OwnPasswordView(PasswordChangeView):
    form_class = OwnPasswordForm

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"request": self.request}

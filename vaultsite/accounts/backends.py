"""Check passwords where they may be used. Every door asks here (Django's `authenticate`)."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from secrets_app.conf import app_settings
from vaultsite.accounts.break_glass import may_use_password
from vaultsite.accounts.models import User


class PasswordBackend(ModelBackend):
    """With `PASSWORD_SIGN_IN=off`, takes the password of one superuser, for a time (break-glass)."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **more: Any,
    ) -> User | None:
        # Hashed in every case, so that the time tells nothing about who may.
        user: Any = super().authenticate(request, username, password, **more)
        if app_settings.PASSWORD_SIGN_IN or (user is not None and may_use_password(user)):
            return user  # type: ignore[no-any-return]
        return None

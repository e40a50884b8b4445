"""Check passwords, with the lockout of the project around the app."""

from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest

from secrets_app.errors import LockedOut

_DEFAULT_LOCKOUT_S = 900


def check_password(*, username: str, password: str, request: HttpRequest) -> Any:
    """Return the user with this name and password, or None. Raises LockedOut.

    An unknown name costs a password hash as well (Django's `authenticate` takes care of that). If the
    project has django-axes, it counts wrong passwords.
    """
    username_field = get_user_model().USERNAME_FIELD
    user = authenticate(request, **{username_field: username, "password": password})
    if user is None and getattr(request, "axes_locked_out", False):
        request.axes_locked_out = False  # type: ignore[attr-defined]  # we answer ourselves
        cooloff = getattr(settings, "AXES_COOLOFF_TIME", None)
        raise LockedOut(int(cooloff.total_seconds()) if cooloff else _DEFAULT_LOCKOUT_S)
    return user


def note_sign_in(*, user: Any, request: HttpRequest) -> None:
    """Send the signal that Django's `login` sends: the count of failures restarts, `last_login` is set.

    To be called in the transaction that records the sign-in.
    """
    user_logged_in.send(sender=type(user), request=request, user=user)

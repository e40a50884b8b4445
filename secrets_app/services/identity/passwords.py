"""Checking a password, with whatever lockout the project around the app has."""

from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest

from secrets_app.errors import LockedOut

_DEFAULT_LOCKOUT_S = 900


def check_password(*, username: str, password: str, request: HttpRequest) -> Any:
    """The user whose password this is, or None. Raises LockedOut.

    An unknown account costs a password hash too (Django's `authenticate` sees to that). Wrong
    passwords are counted by django-axes where the project has it installed.
    """
    username_field = get_user_model().USERNAME_FIELD
    user = authenticate(request, **{username_field: username, "password": password})
    if user is None and getattr(request, "axes_locked_out", False):
        request.axes_locked_out = False  # type: ignore[attr-defined]  # the answer is ours to give
        cooloff = getattr(settings, "AXES_COOLOFF_TIME", None)
        raise LockedOut(int(cooloff.total_seconds()) if cooloff else _DEFAULT_LOCKOUT_S)
    return user


def note_sign_in(*, user: Any, request: HttpRequest) -> None:
    """What Django's own `login` tells: the count begins anew, and `last_login` is kept.

    For the transaction that holds the event of the sign-in.
    """
    user_logged_in.send(sender=type(user), request=request, user=user)

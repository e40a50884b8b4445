"""End web sessions: of one browser, or all of a person."""

from importlib import import_module
from typing import Any

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import update_session_auth_hash
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest

from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Actor
from secrets_app.services.identity import principal_for_user
from vaultsite.accounts.models import User

_BRIEFLY_S = 600


def end_web_sessions(user: User, *, keep: HttpRequest | None = None) -> None:
    """End all of a person's web sessions from their next request on; that of `keep` goes on.

    Leaves no event: that is of the action that this belongs to.
    """
    with transaction.atomic():
        # Sessions hold a digest of this number, so none has to be looked for.
        User.objects.filter(pk=user.pk).update(session_generation=F("session_generation") + 1)
        known = UserSession.objects.filter(user=user)
        for key in known.values_list("session_key", flat=True):
            _forget(key)
        known.delete()
        user.refresh_from_db(fields=["session_generation"])
        if keep is not None:
            keep.user = user
            update_session_auth_hash(keep, user)
            UserSession.objects.create_from_request(keep)


def end_web_session(*, session: UserSession, actor: Actor) -> None:
    """End one web session, with an event."""
    with transaction.atomic():
        _forget(session.session_key)
        session.delete()
        resource = Resource("principal", principal_for_user(session.user).id)
        record("auth.session_end", SUCCESS, actor=actor, resource=resource)


def hold_briefly(request: HttpRequest) -> None:
    """Have the session of a stranger end in minutes, and remove what has ended.

    Strangers get sessions for their challenges, so that few are kept. `hold_as_usual` is for who signs
    in.
    """
    _store().clear_expired()
    request.session.set_expiry(_BRIEFLY_S)


def hold_as_usual(request: HttpRequest) -> None:
    """Have a session last for SESSION_COOKIE_AGE again."""
    request.session.set_expiry(None)


def _store() -> Any:
    return import_module(settings.SESSION_ENGINE).SessionStore


def _forget(session_key: str) -> None:
    _store()().delete(session_key)

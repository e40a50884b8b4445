"""Tell whether a caller is a person in a session of their own, as changes of how they sign in need it."""

from datetime import timedelta
from typing import Any, NoReturn

from django.db import transaction
from django.utils import timezone

from secrets_app.errors import Forbidden
from secrets_app.models import Principal, SignInSession
from secrets_app.services.audit import DENIED, Resource, record
from secrets_app.services.caller import Caller
from secrets_app.services.identity.devices import METHOD
from secrets_app.services.identity.factors import second_factors

FRESH_S = 900
_SIGN_IN = (
    "Sign in as a person for this: a key, a token of one, or a device's session is not enough."
)
_AGAIN = (
    "Sign in again, with your second factor if you have one, and do this within"
    f" {FRESH_S // 60} minutes."
)


def own_session(caller: Caller) -> SignInSession | None:
    """Return the living session that a person has signed in to themselves, with its principal and user.

    None for an agent, an API key, what was made with one, a token that was made from a token, and the
    session of a device.
    """
    claims = caller.claims
    if (
        caller.kind != Principal.Kind.USER
        or claims is None
        or claims.session is None
        or claims.parent is not None
        or claims.vault_ids
    ):
        return None
    living = SignInSession.objects.living().exclude(method=METHOD)
    own = living.filter(pk=claims.session, principal_id=caller.id)
    return own.select_related("principal__user").first()


def require_session(caller: Caller, action: str) -> tuple[SignInSession, Any]:
    """Return the session and the user of a person who has signed in themselves.

    Raises Forbidden, with an event, where `own_session` finds none. That of a device is none: whoever was
    talked into approving one has given away that session, not the account.
    """
    session = own_session(caller)
    if session is None:
        _deny(caller, action, "not_a_session", _SIGN_IN)
    return session, session.principal.user


def require_fresh(caller: Caller, session: SignInSession, user: Any, action: str) -> None:
    """Raise Forbidden, with an event, unless the session began minutes ago, by all that the person has."""
    is_new = session.created_at > timezone.now() - timedelta(seconds=FRESH_S)
    if not is_new or (second_factors().is_asked(user) and not session.second_factor):
        _deny(caller, action, "not_fresh", _AGAIN)


def _deny(caller: Caller, action: str, reason: str, detail: str) -> NoReturn:
    resource = Resource("principal", caller.id)
    with transaction.atomic():
        record(action, DENIED, actor=caller.actor, resource=resource, details={"reason": reason})
    raise Forbidden(detail)

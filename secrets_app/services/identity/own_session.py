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


def require_session(caller: Caller, action: str) -> tuple[SignInSession, Any]:
    """Return the session and the user of a person who has signed in themselves.

    Raises Forbidden, with an event, for an agent, an API key, what was made with one, a token that was made
    from a token, and the session of a device: whoever was talked into approving one has given away that
    session, not the account.
    """
    claims = caller.claims
    session = None
    if (
        caller.kind == Principal.Kind.USER
        and claims is not None
        and claims.session is not None
        and claims.parent is None
        and not claims.vault_ids
    ):
        found = SignInSession.objects.living().exclude(method=METHOD)
        session = (
            found.select_related("principal__user")
            .filter(pk=claims.session, principal_id=caller.id)
            .first()
        )
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

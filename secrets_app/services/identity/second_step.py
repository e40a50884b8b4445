"""Sign in by a password and a code: between the two, a person holds a token that is good for nothing else.

What is wrong with that token or the code is told to nobody; the reason is in the event.
"""

from contextlib import suppress
from dataclasses import dataclass, field

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from secrets_app.errors import Forbidden, LockedOut, TooManyRequests
from secrets_app.models import Principal
from secrets_app.services.access.active import why_inactive
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Actor
from secrets_app.services.identity import steps
from secrets_app.services.identity.factors import second_factors
from secrets_app.services.identity.passwords import note_sign_in
from secrets_app.services.identity.sessions import start_session
from secrets_app.services.identity.sign_in_events import acting_as, record_refusal, refuse
from secrets_app.services.identity.tokens import IssuedToken

_METHOD = "second_factor"
_ANOTHER_WAY = (
    "This person has a second factor, and there is no room for its code here. Sign in at"
    " /v1/auth/token, or use a personal API key."
)
_SET_ONE_UP = (
    "A second factor is demanded here, and this person has none. Sign in on the web pages and set one"
    " up first."
)


@dataclass(frozen=True, slots=True)
class CodeAsked:
    """The password was right. `mfa_token` and a code give the tokens."""

    mfa_token: str = field(repr=False)


def needs_code(*, principal: Principal, actor: Actor) -> bool:
    """Tell whether a person whose password was right is asked for a code.

    Raises Forbidden, with an event, where a second factor is demanded and there is none, and
    Unauthenticated for a person that may not sign in.
    """
    reason = why_inactive(principal, now=timezone.now())
    if reason is not None:
        refuse("password", reason, principal, actor)
    factors = second_factors()
    if factors.is_asked(principal.user):
        return True
    if factors.is_required(principal.user):
        record_refusal("password", "factor_missing", principal, actor)
        raise Forbidden(_SET_ONE_UP)
    return False


def ask_for_code(*, principal: Principal, actor: Actor, takes_code: bool) -> CodeAsked:
    """Ask a person whose password was right for a code. The count of wrong attempts goes on.

    `takes_code` tells whether this way in can take one. Raises Forbidden, with an event, where not.
    """
    if not takes_code:
        record_refusal("password", "code_needed", principal, actor)
        raise Forbidden(_ANOTHER_WAY)
    assert principal.user is not None  # noqa: S101  (a password is a person's)
    with transaction.atomic():
        token = steps.begin_sign_in(principal=principal, password_hash=str(principal.user.password))
        record(
            "auth.code_asked",
            SUCCESS,
            actor=acting_as(principal, actor),
            resource=Resource("principal", principal.id),
            details={"method": "password"},
        )
    return CodeAsked(token)


def sign_in_with_code(
    *, mfa_token: str, code: str, actor: Actor, request: HttpRequest
) -> IssuedToken:
    """Exchange the token of a right password, and a code, for the tokens of a new session.

    Raises Unauthenticated, the same for every reason, with an event; LockedOut.
    """
    step = steps.attempt_sign_in(token=mfa_token)
    if step is None or step.principal is None or step.principal.user is None:
        refuse(_METHOD, "unknown_token", None, actor)
    principal, user = step.principal, step.principal.user
    try:
        kind = second_factors().check_code(user=user, code=code, request=request)
    except LockedOut:
        with suppress(TooManyRequests):  # this one says more
            record_refusal(_METHOD, "locked_out", principal, actor)
        raise
    if kind is None:
        refuse(_METHOD, "bad_code", principal, actor)
    if not steps.finish(step):
        refuse(_METHOD, "used_token", principal, actor)
    return start_session(
        principal=principal,
        method=f"password_{kind}",
        actor=actor,
        second_factor=True,
        note=lambda: note_sign_in(user=user, request=request),
    )

"""Set up and remove one's own authenticator app, over the API (wire contract, E)."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest

from secrets_app.errors import Conflict, Forbidden, InvalidInput, LockedOut, TooManyRequests
from secrets_app.models import SignInSession
from secrets_app.services.audit import SUCCESS, Resource, record, record_failure
from secrets_app.services.caller import Actor, Caller
from secrets_app.services.identity import steps
from secrets_app.services.identity.agents import require_person
from secrets_app.services.identity.factors import NewApp, second_factors
from secrets_app.services.identity.own_session import require_fresh, require_session
from secrets_app.services.identity.passwords import check_password
from secrets_app.services.identity.sessions import end_session

ADD, REMOVE = "auth.second_factor_add", "auth.second_factor_remove"
_NOTHING_BEGUN = "There is no set-up to confirm, or not any more. Begin anew."
_WRONG_CODE = "This is not the code of now. Wait for the next one and try again."
_HAS_ONE = "There is an authenticator app already. Remove it first."


def is_factor_enabled(*, caller: Caller) -> bool:
    """Tell whether the person is asked for a second factor. Raises Forbidden for an agent."""
    principal = require_person(caller, "auth.second_factor_read")
    return second_factors().is_asked(principal.user)


def begin_app(*, caller: Caller, request: HttpRequest) -> NewApp:
    """Draw a secret for an authenticator app. Nothing changes until a code confirms it.

    A second call draws another one, and the first is forgotten. Raises Forbidden for all but a fresh
    session of a person, Conflict when there is an app already.
    """
    session, user = require_session(caller, ADD)
    require_fresh(caller, session, user, ADD)
    factors = second_factors()
    if factors.has_app(user):
        raise Conflict(_HAS_ONE)
    new = factors.draw_app(user=user, request=request)
    with transaction.atomic():
        steps.begin_set_up(principal=session.principal, sealed=new.sealed)
        resource = Resource("principal", caller.id)
        record("auth.second_factor_begin", SUCCESS, actor=caller.actor, resource=resource)
    return new


def confirm_app(*, caller: Caller, code: str) -> Sequence[str]:
    """Set the app up if the code is one of its, and end the person's sessions that have no second factor.

    Returns the recovery codes, which cannot be had again. Raises Forbidden, Conflict as `begin_app`, and
    InvalidInput for a wrong code; after five of them the set-up is void.
    """
    session, user = require_session(caller, ADD)
    step = steps.attempt_set_up(principal_id=caller.id)
    if step is None:
        _fail(ADD, caller, "nothing_begun")
        raise InvalidInput({"code": [_NOTHING_BEGUN]})
    with transaction.atomic():
        codes = second_factors().add_app(
            user=user, sealed=step.sealed, code=code, actor=caller.actor, session_id=session.pk
        )
        if codes is not None:
            if not steps.finish(step):  # another was begun meanwhile
                raise InvalidInput({"code": [_NOTHING_BEGUN]})
            note_factor(session)
    if codes is None:
        raise InvalidInput({"code": [_WRONG_CODE]})
    return codes


def remove_app(
    *, caller: Caller, code: str | None, password: str | None, request: HttpRequest
) -> None:
    """Remove the app for a right code; for the password, where the session has passed a second factor.

    Raises Forbidden, InvalidInput for a wrong one, LockedOut, Conflict when there is no app or it must be.
    """
    session, user = require_session(caller, REMOVE)
    factors = second_factors()
    if not factors.has_app(user):
        raise Conflict("There is no authenticator app to remove.")
    if code is None and not session.second_factor:
        _fail(REMOVE, caller, "code_needed")
        raise Forbidden("Send a code: this session has not passed the second factor.")
    try:
        if code is not None:
            is_right = factors.check_code(user=user, code=code, request=request) is not None
        else:
            is_right = _is_password_of(user, password or "", request)
    except LockedOut:
        with suppress(TooManyRequests):  # this one says more
            _fail(REMOVE, caller, "locked_out")
        raise
    if not is_right:
        _fail(REMOVE, caller, "bad_credentials" if code is None else "bad_code")
        field = "password" if code is None else "code"
        raise InvalidInput({field: ["This is not right."]})
    factors.remove_app(user=user, actor=caller.actor)


def end_sessions_without_factor(*, principal_id: UUID, keep: UUID | None, actor: Actor) -> None:
    """End the sessions of a person that have not passed a second factor, but for `keep`.

    A project calls this in the transaction that sets one up.
    """
    living = SignInSession.objects.living().filter(principal_id=principal_id, second_factor=False)
    for session in living if keep is None else living.exclude(pk=keep):
        end_session(session=session, reason="second_factor_added", actor=actor)


def note_factor(session: SignInSession) -> None:
    """Note that a session has passed a second factor: the one that it has just set up."""
    SignInSession.objects.filter(pk=session.pk).update(second_factor=True)


def _is_password_of(user: Any, password: str, request: HttpRequest) -> bool:
    found = check_password(username=user.get_username(), password=password, request=request)
    return found is not None


def _fail(action: str, caller: Caller, reason: str) -> None:
    resource = Resource("principal", caller.id)
    record_failure(action, actor=caller.actor, resource=resource, details={"reason": reason})

"""Make, use, list and remove passkeys over the API (wire contract, E; WebAuthn Level 3).

No cookie takes part. A challenge proves itself, and names the person where one is being registered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from secrets_app.errors import InvalidInput, NotFound
from secrets_app.models import Principal, SignInSession
from secrets_app.services.access.active import why_inactive
from secrets_app.services.access.refusals import refuse_as_unknown
from secrets_app.services.audit import Resource, record_failure
from secrets_app.services.caller import Actor, Caller
from secrets_app.services.identity import challenges, steps
from secrets_app.services.identity.agents import require_person
from secrets_app.services.identity.factors import Passkey, PasskeyRefused, second_factors
from secrets_app.services.identity.own_factor import ADD, REMOVE, note_factor
from secrets_app.services.identity.own_session import require_fresh, require_session
from secrets_app.services.identity.passwords import note_sign_in
from secrets_app.services.identity.principals import principal_for_user
from secrets_app.services.identity.sessions import start_session
from secrets_app.services.identity.sign_in_events import refuse
from secrets_app.services.identity.tokens import IssuedToken

_NOT_VALID = "This is not the answer of an authenticator to a challenge of now. Begin anew."


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """`recovery_codes` are there with a person's first factor, and cannot be had again."""

    passkey: Passkey
    recovery_codes: Sequence[str] = field(repr=False)


def begin_registration(*, caller: Caller, request: HttpRequest) -> dict[str, Any]:
    """Return what a browser needs to make a passkey for the person who is calling.

    Raises Forbidden, with an event, for all but a fresh session of a person.
    """
    session, user = require_session(caller, ADD)
    require_fresh(caller, session, user, ADD)
    challenge = challenges.make_challenge(purpose=_registering(session))
    return second_factors().registration_options(user=user, challenge=challenge, request=request)


def complete_registration(
    *, caller: Caller, response: dict[str, Any], name: str, request: HttpRequest
) -> NewPasskey:
    """Keep a passkey for the person who is calling. It is a second factor from then on.

    Raises Forbidden as `begin_registration`, InvalidInput, the same for every reason, with an event, and
    Conflict when there are too many.
    """
    session, user = require_session(caller, ADD)
    require_fresh(caller, session, user, ADD)
    factors = second_factors()
    try:
        challenge = factors.challenge_in(response["client_data_json"])
        with transaction.atomic():
            _use(challenge, _registering(session))
            passkey, codes = factors.add_passkey(
                user=user,
                name=name,
                challenge=challenge,
                response=response,
                request=request,
                actor=caller.actor,
                session_id=session.pk,
            )
            note_factor(session)
    except PasskeyRefused as refusal:
        details = {"factor": "webauthn", "reason": refusal.reason}
        resource = Resource("principal", caller.id)
        record_failure(ADD, actor=caller.actor, resource=resource, details=details)
        raise InvalidInput({"client_data_json": [_NOT_VALID]}) from None
    return NewPasskey(passkey, codes)


def begin_assertion(*, request: HttpRequest) -> dict[str, Any]:
    """Return what a browser needs to sign in by a passkey. It is the same for everybody."""
    challenge = challenges.make_challenge(purpose=challenges.SIGN_IN)
    return second_factors().assertion_options(challenge=challenge, request=request)


def sign_in_with_passkey(
    *, response: dict[str, Any], actor: Actor, request: HttpRequest
) -> tuple[IssuedToken, Principal]:
    """Exchange a signed challenge for the tokens of a new session.

    Raises Unauthenticated, the same for every reason, with an event.
    """
    factors = second_factors()
    try:
        challenge = factors.challenge_in(response["client_data_json"])
        with transaction.atomic():
            _use(challenge, challenges.SIGN_IN)
            user = factors.check_passkey(challenge=challenge, response=response, request=request)
            principal = principal_for_user(user)
            reason = why_inactive(principal, now=timezone.now())
            if reason is not None:
                raise PasskeyRefused(reason, user)
            issued = start_session(
                principal=principal,
                method="passkey",
                actor=actor,
                second_factor=True,
                note=lambda: note_sign_in(user=user, request=request),
            )
    except PasskeyRefused as refusal:
        whose = None if refusal.user is None else principal_for_user(refusal.user)
        refuse("passkey", refusal.reason, whose, actor)
    return issued, principal


def list_passkeys(*, caller: Caller) -> list[Passkey]:
    """Return the caller's passkeys, oldest first. Raises Forbidden for an agent."""
    principal = require_person(caller, "auth.passkey_list")
    return second_factors().passkeys(user=principal.user)


def remove_passkey(*, caller: Caller, passkey_id: UUID) -> None:
    """Remove one's own passkey. Raises Forbidden for all but a fresh session of a person, NotFound, and
    Conflict when it is the last factor of a person who must have one.
    """
    session, user = require_session(caller, REMOVE)
    require_fresh(caller, session, user, REMOVE)
    try:
        second_factors().remove_passkey(user=user, passkey_id=passkey_id, actor=caller.actor)
    except NotFound as error:
        resource = Resource("passkey")
        refuse_as_unknown(REMOVE, actor=caller.actor, resource=resource, detail=error.detail)


def _registering(session: SignInSession) -> bytes:
    """Bind a challenge to the session that asked for it."""
    return b"register:" + session.pk.bytes


def _use(challenge: bytes, purpose: bytes) -> None:
    end = challenges.end_of_challenge(challenge, purpose=purpose)
    if end is None:
        raise PasskeyRefused("bad_challenge")
    if not steps.use_challenge(challenge=challenge, expires_at=end):
        raise PasskeyRefused("used_challenge")

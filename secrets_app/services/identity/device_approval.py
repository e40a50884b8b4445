"""Let a device in that has no browser: the person's side of the device flow (RFC 8628; wire contract, E).

Who approves is signed in as a person, by a session of the API or of the pages, and has passed the second
factor where they have one. A key does not approve, since it is no person. A session that a device got
approves no other device: sessions end hours after a sign-in, and a chain of them would not.
"""

from dataclasses import dataclass
from typing import NoReturn
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from secrets_app.errors import Conflict, Forbidden, NotFound
from secrets_app.models import DeviceRequest, Principal
from secrets_app.services.audit import DENIED, SUCCESS, Resource, record
from secrets_app.services.audit.failures import record_failure
from secrets_app.services.caller import Actor, Caller
from secrets_app.services.identity.device_codes import letters_of
from secrets_app.services.identity.digests import digest_of
from secrets_app.services.identity.factors import second_factors
from secrets_app.services.identity.own_session import own_session

_APPROVE, _DENY, _LOOK = "auth.device_approve", "auth.device_deny", "auth.device_look"
_UNKNOWN = "No device waits with this code. It may have expired: have the device show a new one."
_DECIDED = "This was decided already."
_NO_PERSON = (
    "Sign in as a person for this: a key, its tokens and a device's session are not enough."
)
_NO_FACTOR = "Sign in with your second factor for this."


@dataclass(frozen=True, slots=True)
class Approver:
    """A person who is signed in. `generation`: of their tokens, as their session has it.
    `second_factor`: whether the session has passed one."""

    principal: Principal
    actor: Actor
    generation: int
    second_factor: bool


def approver_of(*, caller: Caller) -> Approver:
    """Return the person behind a session of the API. Raises Forbidden, with an event, without one."""
    session = own_session(caller)
    if session is None:
        _refuse(caller.actor, None, "not_a_session", _NO_PERSON)
    return Approver(
        session.principal, caller.actor, session.token_generation, session.second_factor
    )


def look_at_device(*, user_code: str, approver: Approver) -> DeviceRequest:
    """What waits with this code, for the person to see what they are about to approve.

    Raises NotFound, with an event, where nothing does: for somebody else's as well.
    """
    return _find(user_code, approver, _LOOK)


def approve_device(*, user_code: str, approver: Approver) -> DeviceRequest:
    """Let a device sign in as the approver.

    Raises NotFound as `look_at_device`, Conflict when it was decided already, Forbidden, with an event,
    when the approver has a second factor and has not passed it.
    """
    request = _find(user_code, approver, _APPROVE)
    if not approver.second_factor and second_factors().is_asked(approver.principal.user):
        _refuse(approver.actor, request.pk, "no_second_factor", _NO_FACTOR)
    _decide(request, approver, DeviceRequest.State.APPROVED, _APPROVE)
    return request


def deny_device(*, user_code: str, approver: Approver) -> DeviceRequest:
    """Keep a device out. Raises NotFound, Conflict as `approve_device`."""
    request = _find(user_code, approver, _DENY)
    _decide(request, approver, DeviceRequest.State.DENIED, _DENY)
    return request


def _find(user_code: str, approver: Approver, action: str) -> DeviceRequest:
    letters = letters_of(user_code)
    waiting = DeviceRequest.objects.filter(expires_at__gt=timezone.now())
    found = None
    if letters is not None:
        found = waiting.filter(user_code_digest=digest_of(letters)).first()
    if found is None or (found.is_bound and found.bound_to_id != approver.principal.user_id):
        reason = "unknown_code" if found is None else "other_person"
        record_failure(
            action,
            actor=approver.actor,
            resource=Resource("device", None if found is None else found.pk),
            details={"reason": reason},
        )
        raise NotFound(_UNKNOWN)
    return found


def _decide(
    request: DeviceRequest, approver: Approver, state: DeviceRequest.State, action: str
) -> None:
    now = timezone.now()
    waiting = DeviceRequest.objects.filter(
        pk=request.pk, state=DeviceRequest.State.PENDING, expires_at__gt=now
    )
    with transaction.atomic():
        is_decided = waiting.update(
            state=state,
            decided_by=approver.principal,
            decided_at=now,
            token_generation=approver.generation,
            second_factor=approver.second_factor,
        )
        if not is_decided:
            raise Conflict(_DECIDED)
        record(
            action,
            SUCCESS,
            actor=approver.actor,
            resource=Resource("device", request.pk),
            details={"requested_from": request.address},
        )


def _refuse(actor: Actor, device_id: UUID | None, reason: str, detail: str) -> NoReturn:
    resource = Resource("device", device_id)
    with transaction.atomic():
        record(_APPROVE, DENIED, actor=actor, resource=resource, details={"reason": reason})
    raise Forbidden(detail)

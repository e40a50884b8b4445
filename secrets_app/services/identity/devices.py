"""Let a device in that has no browser: the device's side of the device flow (RFC 8628; wire contract, E).

A device gets two codes. It shows one to a person, who signs in elsewhere and approves it
(`device_approval`), and asks with the other until it gets a token, which it gets once.

Anybody can ask for codes, so what waits is bounded, for each network and for all. What has ended is told
for an hour and then removed, along with new requests and by `purge_secrets`.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from secrets_app.errors import OAuthError, TooManyRequests
from secrets_app.models import DeviceRequest
from secrets_app.models.session import ADDRESS_CHARS
from secrets_app.services.access.active import why_inactive
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.audit.failures import network_of
from secrets_app.services.caller import Actor
from secrets_app.services.identity.device_codes import (
    letters_of,
    new_device_code,
    new_user_code,
)
from secrets_app.services.identity.digests import digest_of
from secrets_app.services.identity.factors import second_factors
from secrets_app.services.identity.sessions import start_session
from secrets_app.services.identity.sign_in_events import record_refusal
from secrets_app.services.identity.tokens import IssuedToken

METHOD = "device"
LIFE_S = 600
INTERVAL_S = 5
_SLOWER_S = 5  # RFC 8628, 3.5
MOST_OF_A_NETWORK = 20
MOST_WAITING = 10_000
_KEPT = timedelta(hours=1)
_REMOVED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class NewDevice:
    """The codes of a device that waits; neither can be had again."""

    device_code: str = field(repr=False)
    user_code: str = field(repr=False)
    expires_in: int = LIFE_S
    interval: int = INTERVAL_S


def start_device(*, client_id: str, email: str | None, actor: Actor) -> NewDevice:
    """Give a device its codes, good for ten minutes. `client_id` is what it calls itself.

    With `email` nobody but that person can approve it: nobody at all where there is no such person, which
    is not told. Raises TooManyRequests where too many wait already.
    """
    now = timezone.now()
    network = network_of(actor.address)
    _remove_old(now)
    waiting = DeviceRequest.objects.filter(expires_at__gt=now, state=DeviceRequest.State.PENDING)
    if (
        waiting.filter(network=network)[:MOST_OF_A_NETWORK].count() >= MOST_OF_A_NETWORK
        or waiting[:MOST_WAITING].count() >= MOST_WAITING
    ):
        raise TooManyRequests(LIFE_S)
    codes = NewDevice(new_device_code(), new_user_code())
    request = DeviceRequest(
        device_digest=digest_of(codes.device_code),
        user_code_digest=digest_of(letters_of(codes.user_code) or ""),
        client_id=client_id,
        is_bound=email is not None,
        bound_to=None if email is None else _user_named(email),
        address=(actor.address or "")[:ADDRESS_CHARS],
        network=network,
        interval_s=INTERVAL_S,
        created_at=now,
        expires_at=now + timedelta(seconds=LIFE_S),
    )
    with transaction.atomic():
        request.save(force_insert=True)
        record("auth.device_start", SUCCESS, actor=actor, resource=Resource("device", request.pk))
    return codes


def poll_device(*, device_code: str, client_id: str | None, actor: Actor) -> IssuedToken:
    """Exchange the code of an approved device for the tokens of a session, once.

    The session's end is counted from the approval. Raises OAuthError: `authorization_pending`,
    `slow_down`, `access_denied`, `expired_token`, and `invalid_grant` for a code that is unknown or used.
    """
    with transaction.atomic():
        rows = DeviceRequest.objects.select_related("decided_by__user")
        request = (
            rows.select_for_update(of=("self",))
            .filter(device_digest=digest_of(device_code))
            .first()
        )
        is_known = request is not None and client_id in (None, request.client_id)
        error = _why_not(request, timezone.now()) if request and is_known else "invalid_grant"
        if request is not None and error is None:
            return _let_in(request, actor)
    if error == "invalid_grant":
        record_refusal(METHOD, "used_code" if is_known else "unknown_code", None, actor)
    raise OAuthError(error or "access_denied")


def old_devices(*, now: datetime) -> QuerySet[DeviceRequest]:
    """Those whose end is no longer told."""
    return DeviceRequest.objects.filter(expires_at__lte=now - _KEPT)


def _why_not(request: DeviceRequest, now: datetime) -> str | None:
    """Why a device gets no token now, None when it gets one. The row is locked."""
    state = DeviceRequest.State(request.state)
    if state is DeviceRequest.State.USED:
        return "invalid_grant"
    if request.expires_at <= now:
        return "expired_token"
    if state is DeviceRequest.State.PENDING:
        return _note_poll(request, now)
    principal = request.decided_by
    if (
        state is DeviceRequest.State.DENIED
        or principal is None
        or principal.token_generation != request.token_generation
        or why_inactive(principal, now=now) is not None
        # A factor that was set up since the approval ends what was begun without one.
        or (not request.second_factor and second_factors().is_asked(principal.user))
    ):
        return "access_denied"
    return None


def _note_poll(request: DeviceRequest, now: datetime) -> str:
    """Whoever asks too soon has to wait longer from then on."""
    pause = timedelta(seconds=request.interval_s)
    is_early = request.polled_at is not None and now < request.polled_at + pause
    DeviceRequest.objects.filter(pk=request.pk).update(
        polled_at=now, interval_s=request.interval_s + (_SLOWER_S if is_early else 0)
    )
    return "slow_down" if is_early else "authorization_pending"


def _let_in(request: DeviceRequest, actor: Actor) -> IssuedToken:
    assert request.decided_by is not None  # noqa: S101  (approved)
    DeviceRequest.objects.filter(pk=request.pk).update(state=DeviceRequest.State.USED)
    return start_session(
        principal=request.decided_by,
        method=METHOD,
        actor=actor,
        second_factor=request.second_factor,
        client=request.client_id,
        since=request.decided_at,
        generation=request.token_generation,
    )


def _user_named(email: str) -> Any:
    model = get_user_model()
    return model._default_manager.filter(**{model.USERNAME_FIELD: email}).first()


def _remove_old(now: datetime) -> None:
    """Remove some, so that there are never many more than wait."""
    with transaction.atomic():
        old = old_devices(now=now).select_for_update(skip_locked=True).order_by("expires_at")
        ids = list(old.values_list("pk", flat=True)[:_REMOVED_AT_ONCE])
        DeviceRequest.objects.filter(pk__in=ids).delete()

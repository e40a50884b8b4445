"""Keep the first half of what has two: for minutes, for five attempts, and for one success.

A holder's token is 256 random bits, kept as SHA-256. An attempt is counted before the code is looked at,
by one statement, so the count is exact in every process and in a race.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from secrets_app.models import Principal, SignInStep
from secrets_app.services.identity.digests import digest_of

LIFE_S = 300
SET_UP_LIFE_S = 900
MOST_ATTEMPTS = 5
TOKEN_PREFIX = "1mf_"  # noqa: S105
_TOKEN_BYTES = 32

Purpose = SignInStep.Purpose


def begin_sign_in(*, principal: Principal, password_hash: str) -> str:
    """Remember that a person's password was right. Returns the token for the second step."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
    _forget_expired()
    SignInStep.objects.create(
        digest=digest_of(token),
        purpose=Purpose.CODE,
        principal=principal,
        token_generation=principal.token_generation,
        password_digest=digest_of(password_hash),
        expires_at=_after(LIFE_S),
    )
    return token


def begin_set_up(*, principal: Principal, sealed: str) -> None:
    """Remember the secret that a person is about to confirm, in place of an earlier one."""
    _forget_expired()
    SignInStep.objects.update_or_create(
        digest=_set_up_of(principal.pk),
        defaults={
            "purpose": Purpose.SETUP,
            "principal": principal,
            "token_generation": principal.token_generation,
            "sealed": sealed,
            "attempts": 0,
            "expires_at": _after(SET_UP_LIFE_S),
        },
    )


def attempt_sign_in(*, token: str) -> SignInStep | None:
    """Count an attempt and return its step, with the principal and its user as they are now.

    None when there is no such step, or not any more, for whatever reason.
    """
    return _attempt(digest_of(token), Purpose.CODE)


def attempt_set_up(*, principal_id: UUID) -> SignInStep | None:
    """The same for the set-up that a person has begun."""
    return _attempt(_set_up_of(principal_id), Purpose.SETUP)


def finish(step: SignInStep) -> bool:
    """End a step. Returns whether this was the first to do so, with the secret that was read."""
    removed, _ = SignInStep.objects.filter(pk=step.pk, sealed=step.sealed).delete()
    return bool(removed)


def use_challenge(*, challenge: bytes, expires_at: datetime) -> bool:
    """Remember that a challenge was answered. Returns whether it was not before."""
    _forget_expired()
    try:
        with transaction.atomic():
            SignInStep.objects.create(
                digest=hashlib.sha256(challenge).hexdigest(),
                purpose=Purpose.USED_CHALLENGE,
                expires_at=expires_at,
            )
    except IntegrityError:
        return False
    return True


def _attempt(key: str, purpose: str) -> SignInStep | None:
    now = timezone.now()
    steps = SignInStep.objects.filter(pk=key, purpose=purpose, expires_at__gt=now)
    with transaction.atomic():
        if not steps.filter(attempts__lt=MOST_ATTEMPTS).update(attempts=F("attempts") + 1):
            return None
        step = steps.select_related("principal__user").get()
    assert step.principal is not None  # noqa: S101  (these purposes have one)
    if step.token_generation != step.principal.token_generation:
        return None
    user = step.principal.user
    if purpose == Purpose.CODE and (
        user is None or step.password_digest != digest_of(str(user.password))
    ):
        return None
    return step


def _set_up_of(principal_id: UUID) -> str:
    return digest_of(f"{Purpose.SETUP}:{principal_id}")


def _after(seconds: int) -> datetime:
    return timezone.now() + timedelta(seconds=seconds)


def _forget_expired() -> None:
    SignInStep.objects.filter(expires_at__lt=timezone.now()).delete()

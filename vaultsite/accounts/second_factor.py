"""Tell who has a second factor, and check codes: for pages, the admin and the API alike.

`SECOND_FACTOR` says who needs one: `off` (nobody is asked), `optional` (whoever sets one up),
`superusers` or `everybody`. Codes are those of an authenticator app (TOTP, RFC 6238) and recovery codes.
Passkeys are in `passkeys`, set-up and removal in `factors`.
"""

import hmac
from datetime import timedelta
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from axes.handlers.proxy import AxesProxyHandler
from django.conf import settings
from django.contrib.auth.signals import user_login_failed
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from secrets_app.errors import LockedOut
from secrets_app.services.identity import open_factor
from vaultsite.accounts.models import CodeCheck, SecondFactor, User

TOTP = str(Authenticator.Type.TOTP.value)
PASSKEY = str(Authenticator.Type.WEBAUTHN.value)
RECOVERY_CODES = str(Authenticator.Type.RECOVERY_CODES.value)
# What counts as a second factor. Recovery codes stand in for one of these.
FACTORS = (TOTP, PASSKEY)

_PERIOD_S = 30
_DIGITS = 6
_TOLERANCE = 1  # steps before and after now
_LONGEST_WAIT_S = 3600


def is_required(user: User) -> bool:
    """Tell whether this person must have a second factor."""
    rule = settings.SECOND_FACTOR
    return rule == "everybody" or (rule == "superusers" and user.is_superuser)


def has_second_factor(user: User) -> bool:
    """Tell whether this person is asked for a second factor. False for all where it is switched off."""
    return settings.SECOND_FACTOR != "off" and is_set_up(user)


def is_set_up(user: User, types: tuple[str, ...] = FACTORS) -> bool:
    """Tell whether this person has a factor of one of `types`."""
    if Authenticator.objects.filter(user=user, type__in=types).exists():
        return True
    return TOTP in types and adopt(user)


def check_code(*, user: User, code: str, request: HttpRequest) -> str | None:
    """Use up a code. Returns whose it was, `totp` or `recovery_codes`, or None for a wrong one.

    Each code is taken once, in all processes. A wrong one counts towards the lockout of this account
    from this address, and none is taken for a while after it, from anywhere: 1, 2, 4 … seconds, an hour
    at most. To be called outside a transaction, so that the count stays. Raises LockedOut, OpenError,
    ProviderError.
    """
    credentials = {"username": user.email}
    if not AxesProxyHandler.is_allowed(request, credentials):
        raise LockedOut(int(settings.AXES_COOLOFF_TIME.total_seconds()))
    kind = _use(user, code.replace(" ", "").replace("-", ""))
    if kind is None:
        user_login_failed.send(sender=__name__, credentials=credentials, request=request)
    return kind


def step_of(*, secret: str, code: str, after: int = -1) -> int | None:
    """Return the time step whose code this is, of now, the one before and the next, later than `after`."""
    if not is_digits(code, _DIGITS):
        return None
    now = int(timezone.now().timestamp()) // _PERIOD_S
    for step in range(now - _TOLERANCE, now + _TOLERANCE + 1):
        if step > after and hmac.compare_digest(format_hotp_value(hotp_value(secret, step)), code):
            return step
    return None


def is_digits(text: str, length: int) -> bool:
    return len(text) == length and text.isascii() and text.isdigit()


def locked(user: User) -> CodeCheck:
    """Return what became of a person's codes, locked until the transaction ends.

    Whoever reads and then changes a person's factors holds this lock.
    """
    CodeCheck.objects.get_or_create(user=user)
    return CodeCheck.objects.select_for_update().get(user=user)


def adopt(user: User) -> bool:
    """Take over what a process of an earlier release set up after the migration. Returns whether any."""
    former = SecondFactor.objects.filter(user=user, confirmed=True).first()
    if former is None:
        return False
    secret = f"derived:{former.key_number}:{bytes(former.salt).hex()}"
    defaults: dict[str, Any] = {"data": {"secret": secret}, "created_at": former.created_at}
    Authenticator.objects.get_or_create(user=user, type=TOTP, defaults=defaults)
    check, _ = CodeCheck.objects.get_or_create(user=user)
    CodeCheck.objects.filter(pk=check.pk, last_step__lt=former.last_t).update(
        last_step=former.last_t
    )
    return True


def _use(user: User, code: str) -> str | None:
    with transaction.atomic():
        check = locked(user)
        if _must_wait(check):
            return None
        kind = _use_totp(check, code) or _use_recovery_code(user, code)
        if kind is None:
            check.failures += 1
            check.failed_at = timezone.now()
        else:
            check.failures, check.failed_at = 0, None
        check.save()
    return kind


def _must_wait(check: CodeCheck) -> bool:
    if check.failed_at is None:
        return False
    wait_s = min(2 ** min(check.failures - 1, 30), _LONGEST_WAIT_S)
    return timezone.now() < check.failed_at + timedelta(seconds=wait_s)


def _use_totp(check: CodeCheck, code: str) -> str | None:
    row = Authenticator.objects.filter(user_id=check.user_id, type=TOTP).first()
    if row is None or not is_digits(code, _DIGITS):
        return None
    secret = open_factor(row.data["secret"])
    step = step_of(secret=secret, code=code, after=check.last_step)
    if step is None:
        return None
    check.last_step = step
    return TOTP


def _use_recovery_code(user: User, code: str) -> str | None:
    if not is_digits(code, settings.MFA_RECOVERY_CODE_DIGITS):
        return None
    row = Authenticator.objects.filter(user=user, type=RECOVERY_CODES).first()
    # The library compares in constant time and marks the code in the row.
    return RECOVERY_CODES if row is not None and row.wrap().validate_code(code) else None

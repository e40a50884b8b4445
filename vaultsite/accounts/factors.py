"""Set up and remove second factors; each change has its event, or does not happen."""

from typing import Any
from uuid import UUID

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import generate_totp_secret
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from secrets_app.errors import Conflict
from secrets_app.services.audit import SUCCESS, Resource, record, record_failure
from secrets_app.services.caller import Actor
from secrets_app.services.identity import (
    end_sessions_without_factor,
    end_tokens,
    open_factor,
    principal_for_user,
    seal_factor,
)
from vaultsite.accounts.models import SecondFactor, User
from vaultsite.accounts.second_factor import (
    FACTORS,
    PASSKEY,
    RECOVERY_CODES,
    TOTP,
    is_required,
    locked,
    step_of,
)
from vaultsite.accounts.web_sessions import end_web_sessions

ADD, REMOVE = "auth.second_factor_add", "auth.second_factor_remove"


def new_secret() -> str:
    """Return a new secret for an authenticator app, sealed: what a set-up keeps until it is confirmed.

    Raises OpenError, ProviderError.
    """
    return seal_factor(generate_totp_secret())


def add_totp(
    *,
    user: User,
    sealed: str,
    code: str,
    actor: Actor,
    keep: HttpRequest | None = None,
    keep_session: UUID | None = None,
) -> bool:
    """Set up an authenticator app if the code is one of its secret. Returns whether it was.

    `sealed`: of `new_secret`. Recovery codes are made where there are none. The code is used up. Web
    sessions from before end, but for that of `keep`, and so do sessions of the API that have passed no
    second factor, but for `keep_session`. Raises Conflict where there is one already, OpenError,
    ProviderError.
    """
    step = step_of(secret=open_factor(sealed), code=code.replace(" ", ""))
    if step is None:
        refuse_factor(ADD, user=user, actor=actor, reason="bad_code")
        return False
    with transaction.atomic():
        check = locked(user)
        if Authenticator.objects.filter(user=user, type=TOTP).exists():
            raise Conflict("There is an authenticator app already. Remove it first.")
        check.last_step = max(check.last_step, step)
        check.save()
        Authenticator.objects.create(user=user, type=TOTP, data={"secret": sealed})
        _added(user, TOTP, actor, keep, keep_session)
    return True


def add_passkey(
    *,
    user: User,
    data: dict[str, Any],
    actor: Actor,
    keep: HttpRequest | None = None,
    keep_session: UUID | None = None,
) -> Authenticator:
    """Set up a passkey from what `passkeys.complete_registration` returns.

    Raises Conflict for one that is known already.
    """
    with transaction.atomic():
        locked(user)
        known = Authenticator.objects.filter(
            type=PASSKEY, data__credential__id=data["credential"]["id"]
        )
        if known.exists():
            raise Conflict("This passkey is known already.")
        row: Authenticator = Authenticator.objects.create(user=user, type=PASSKEY, data=data)
        _added(user, PASSKEY, actor, keep, keep_session)
    return row


def remove_factor(*, user: User, factor_id: int, actor: Actor) -> None:
    """Remove one factor, and with the last one the recovery codes.

    Raises Conflict for the last factor of somebody who must have one.
    """
    with transaction.atomic():
        locked(user)
        own = Authenticator.objects.filter(user=user, type__in=FACTORS)
        row = own.get(pk=factor_id)
        is_last = not own.exclude(pk=row.pk).exists()
        if is_last and is_required(user):
            raise Conflict("You need a second factor here. Add another one first.")
        row.delete()
        if row.type == TOTP:
            SecondFactor.objects.filter(user=user).delete()
        if is_last:
            Authenticator.objects.filter(user=user).delete()
        _record(REMOVE, user, actor, {"factor": row.type})


def forget_factors(*, user: User, actor: Actor) -> bool:
    """Remove all factors and recovery codes, as an operator. Returns False when there are none.

    All tokens and sessions of the person end, of pages and of the API: what they have lost may be signed
    in. API keys stay.
    """
    with transaction.atomic():
        locked(user)
        removed, _ = Authenticator.objects.filter(user=user).delete()
        former, _ = SecondFactor.objects.filter(user=user).delete()
        if not removed and not former:
            return False
        _record(REMOVE, user, actor, {"factor": "all"})
        end_tokens(principal_id=principal_for_user(user).id, actor=actor)
    return True


def renew_recovery_codes(*, user: User, actor: Actor) -> None:
    """Make new recovery codes in place of the old ones. Raises Conflict without a second factor."""
    with transaction.atomic():
        locked(user)
        if not Authenticator.objects.filter(user=user, type__in=FACTORS).exists():
            raise Conflict("Recovery codes stand in for a second factor. Set one up first.")
        Authenticator.objects.filter(user=user, type=RECOVERY_CODES).delete()
        RecoveryCodes.activate(user)
        _record("auth.recovery_codes_renew", user, actor)


def show_recovery_codes(user: User) -> list[str] | None:
    """Return the recovery codes, once after they were made; None from then on."""
    with transaction.atomic():
        locked(user)
        row = Authenticator.objects.filter(user=user, type=RECOVERY_CODES).first()
        if row is None or row.wrap().did_view:
            return None
        row.data["viewed_at"] = timezone.now().timestamp()
        row.save(update_fields=["data"])
        codes: list[str] = row.wrap().get_unused_codes()
    return codes


def count_recovery_codes(user: User) -> int:
    """Return how many recovery codes are left, without opening any."""
    row = Authenticator.objects.filter(user=user, type=RECOVERY_CODES).first()
    return 0 if row is None else recovery_codes_left(row)


def recovery_codes_left(row: Authenticator) -> int:
    from allauth.mfa import app_settings

    return int(app_settings.RECOVERY_CODE_COUNT) - int(row.data["used_mask"]).bit_count()


def refuse_factor(action: str, *, user: User, actor: Actor, reason: str) -> None:
    """Record that a factor was not set up or removed. Raises TooManyRequests."""
    resource = Resource("principal", principal_for_user(user).id)
    record_failure(action, actor=actor, resource=resource, details={"reason": reason})


def _added(
    user: User, kind: str, actor: Actor, keep: HttpRequest | None, keep_session: UUID | None
) -> None:
    if not Authenticator.objects.filter(user=user, type=RECOVERY_CODES).exists():
        RecoveryCodes.activate(user)
    _record(ADD, user, actor, {"factor": kind})
    end_web_sessions(user, keep=keep)
    principal_id = principal_for_user(user).id
    end_sessions_without_factor(principal_id=principal_id, keep=keep_session, actor=actor)


def _record(action: str, user: User, actor: Actor, details: dict[str, Any] | None = None) -> None:
    resource = Resource("principal", principal_for_user(user).id)
    record(action, SUCCESS, actor=actor, resource=resource, details=details or {})

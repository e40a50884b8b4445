"""Let one superuser use a password for a while, though `PASSWORD_SIGN_IN` is off."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Actor
from secrets_app.services.identity import end_tokens, principal_for_user
from vaultsite.accounts.models import BreakGlass, User


def may_use_password(user: User) -> bool:
    """Tell whether this is the superuser who may, and the time is not over."""
    return (
        user.is_superuser
        and BreakGlass.objects.filter(user=user, expires_at__gt=timezone.now()).exists()
    )


@transaction.atomic
def break_glass(*, user: User, lifetime: timedelta, actor: Actor) -> datetime:
    """Let a superuser use a password, and nobody else any more. Returns until when.

    Another one who could until now loses what `end_break_glass` takes.
    """
    until = timezone.now() + lifetime
    former = User.objects.filter(pk__in=BreakGlass.objects.values("user")).exclude(pk=user.pk)
    for each in former:
        end_tokens(principal_id=principal_for_user(each).id, actor=actor)
    BreakGlass.objects.update_or_create(pk=1, defaults={"user": user, "expires_at": until})
    _record("auth.break_glass", user, actor, {"until": until.isoformat(timespec="seconds")})
    return until


@transaction.atomic
def end_break_glass(*, actor: Actor) -> bool:
    """Let nobody use a password any more, and end all sessions and tokens of who could.

    What began with the password is over then, a sign-in that waits for its second factor too. Returns False
    where nobody could.
    """
    row = BreakGlass.objects.select_related("user").filter(pk=1).first()
    if row is None:
        return False
    _record("auth.break_glass_end", row.user, actor, {})
    row.delete()
    end_tokens(principal_id=principal_for_user(row.user).id, actor=actor)
    return True


def _record(action: str, user: User, actor: Actor, details: dict[str, str]) -> None:
    resource = Resource("principal", principal_for_user(user).id)
    record(action, SUCCESS, actor=actor, resource=resource, details=details)

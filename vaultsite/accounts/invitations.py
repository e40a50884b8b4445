"""Invite people: a link that makes one account, once.

The link holds 256 random bits, of which only a digest is stored.
"""

import secrets
from collections.abc import Callable, Sequence
from datetime import timedelta

from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Actor
from secrets_app.services.identity import digest_of, principal_for_user
from vaultsite.accounts.models import Invitation, User

_MAX_TOKEN_CHARS = 64


def invite(
    *, email: str, groups: Sequence[Group], is_staff: bool, lifetime: timedelta, actor: Actor
) -> str:
    """Invite somebody. Returns the token of the link, which is shown this once.

    Earlier invitations of the same address end.
    """
    token = secrets.token_urlsafe(32)
    now = timezone.now()
    with transaction.atomic():
        pending = Invitation.objects.filter(email=email, used_at=None, expires_at__gt=now)
        pending.update(expires_at=now)
        row = Invitation.objects.create(
            email=email,
            digest=digest_of(token),
            is_staff=is_staff,
            expires_at=now + lifetime,
        )
        row.groups.set(groups)
        details = {"groups": sorted(each.name for each in groups), "staff": is_staff}
        record(
            "user.invite",
            SUCCESS,
            actor=actor,
            resource=Resource("invitation", row.pk),
            details=details,
        )
    return token


def find_invitation(token: str) -> Invitation | None:
    """Return the invitation of a link, if it can still be accepted. Spends nothing."""
    if not token.isascii() or len(token) > _MAX_TOKEN_CHARS:
        return None
    return _open().filter(digest=digest_of(token)).first()


@transaction.atomic
def accept_invitation(
    *,
    digest: str,
    password: str | None,
    actor_for: Callable[[User], Actor],
    display_name: str = "",
) -> User | None:
    """Make the account that an invitation promises. Returns None when it cannot be accepted any more.

    Of several who accept at once one gets it. `password` has been checked; None sets none.
    """
    # The update is the lock: whoever changes the row has the invitation.
    if not _open().filter(digest=digest).update(used_at=timezone.now()):
        return None
    invitation = Invitation.objects.get(digest=digest)
    user = User(email=invitation.email, is_staff=invitation.is_staff, display_name=display_name)
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        return None  # somebody has that address by now; the invitation is of no use any more
    groups = list(invitation.groups.all())
    user.groups.set(groups)
    record(
        "user.create",
        SUCCESS,
        actor=actor_for(user),
        resource=Resource("principal", principal_for_user(user).id),
        details={
            "invitation": str(invitation.pk),
            "groups": sorted(each.name for each in groups),
            "staff": user.is_staff,
        },
    )
    return user


def _open() -> QuerySet[Invitation]:
    return Invitation.objects.filter(used_at=None, expires_at__gt=timezone.now())

"""What ends with an identity of an agent: tokens that were given out for it, and those made from them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from secrets_app.models import AgentIdentity, AssertionUse, RevokedToken

_BATCH = 1000


def end_identities(identities: QuerySet[AgentIdentity], *, now: datetime) -> list[AgentIdentity]:
    """Delete identities and end their tokens, from the next request on. To be called in a transaction.

    Each is locked before its tokens are looked for, and a sign-in refers to it: one that is under way is
    either seen here or finds it gone.
    """
    ended = list(identities.select_for_update(of=("self",)).order_by("pk"))
    ids = [each.pk for each in ended]
    uses = AssertionUse.objects.filter(identity__in=ids)
    living = uses.filter(token_expires_at__gt=now).values_list(
        "token_jti", "agent_id", "token_expires_at"
    )
    RevokedToken.objects.bulk_create(
        [
            RevokedToken(jti=jti, principal_id=agent_id, expires_at=expires_at)
            for jti, agent_id, expires_at in living
        ],
        batch_size=_BATCH,
        ignore_conflicts=True,
    )
    # Which tokens were used once stays known.
    uses.filter(assertion_digest__isnull=True).delete()
    uses.update(identity=None)
    AgentIdentity.objects.filter(pk__in=ids).delete()
    return ended


def made_with(key_ids: Sequence[UUID]) -> QuerySet[AgentIdentity]:
    """Those that a caller made who had signed in with one of these API keys."""
    return AgentIdentity.objects.filter(parent_id__in=key_ids)

"""Find the vaults that a principal sees under a name."""

from typing import Any

from django.db.models import CharField, DateTimeField, Exists, OuterRef, Q, QuerySet

from secrets_app.models.policy import Policy
from secrets_app.models.principal import Agent, Principal
from secrets_app.models.rules import policies_of
from secrets_app.models.vault import Vault
from secrets_app.sql.compiled import Slot


def vaults_named(principal_id: Any) -> QuerySet[Any, Any]:
    """Return the vaults of a name that a principal owns or that a policy opens to it, its own first.

    An agent's own are those of its owner that a policy opens to it: `is_own` tells. The slots `name` and
    `now` are to be filled.
    """
    now = Slot("now", DateTimeField())
    allowed = policies_of(principal_id).filter(
        Q(expires_at__isnull=True) | Q(expires_at__gt=now), effect=Policy.Effect.ALLOW
    )
    mine = Q(owner_id=principal_id) | Q(pk__in_subquery=allowed.order_by().values("vault_id"))
    agent = Agent.objects.filter(principal_id=principal_id)
    is_own = Exists(Principal.objects.filter(pk=principal_id, vaults=OuterRef("pk"))) | Exists(
        agent.filter(owner_id=OuterRef("owner_id"))
    )
    return (
        Vault.objects.filter(mine, name=Slot("name", CharField()), deleted_at__isnull=True)
        .annotate(is_own=is_own)
        .order_by("-is_own", "pk")
    )

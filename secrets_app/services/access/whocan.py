"""Who may do something at a path of a vault, and by which policies."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from secrets_app.models import Policy, Principal, Vault
from secrets_app.models.rules import parse_rules, rules_in, users_have_groups
from secrets_app.policy.decision import Permission, decide
from secrets_app.services.access.active import WITH_OWNER, why_inactive
from secrets_app.services.audit import OPERATOR, SUCCESS, Resource, record


@dataclass(frozen=True, slots=True)
class Holder:
    """A principal that may now, wherever it calls from. One whose policy asks for an address is not
    among them: no address is known here."""

    principal_id: UUID
    type: str
    name: str
    reason: str
    policies: tuple[UUID, ...]


def who_can(*, vault: Vault, path: str, permission: Permission) -> list[Holder]:
    """List every active principal that the decision allows now, the owner first."""
    now = timezone.now()
    concerned = Q(pk=vault.owner_id) | Q(policies__vault_id=vault.pk)
    groups = Policy.objects.filter(vault_id=vault.pk, group__isnull=False).values("group_id")
    if users_have_groups():
        concerned |= Q(user__groups__in=groups)
    principals = (
        Principal.objects.filter(concerned, is_active=True)
        .select_related(*WITH_OWNER)
        .distinct()
        .annotate(
            rules=rules_in(vault.pk),
            agent_vault_ids=F("agent__vault_ids"),
        )
    )
    holders = []
    for principal in principals:
        restricted = principal.agent_vault_ids and str(vault.pk) not in principal.agent_vault_ids
        if restricted or why_inactive(principal, now=now) is not None:
            continue
        decision = decide(
            is_owner=principal.pk == vault.owner_id,
            rules=parse_rules(principal.rules),
            path=path,
            permission=permission,
            address=None,
            now=now,
        )
        if decision.allowed:
            holders.append(
                Holder(
                    principal.pk,
                    principal.kind,
                    principal.name,
                    decision.reason.value,
                    decision.policy_ids,
                )
            )
    with transaction.atomic():
        record(
            "access.whocan",
            SUCCESS,
            actor=OPERATOR,
            resource=Resource("vault", vault.pk, vault.pk),
            details={"path": path, "permission": permission.value},
        )
    return sorted(holders, key=lambda holder: (holder.reason != "owner", holder.name))

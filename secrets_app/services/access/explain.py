"""Why somebody may or may not do something: the same decision as a request would get."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from secrets_app.errors import InvalidInput
from secrets_app.models import Principal
from secrets_app.models.rules import parse_rules, rules_in
from secrets_app.policy.decision import Permission, decide
from secrets_app.services.access.active import WITH_OWNER, why_inactive
from secrets_app.services.access.authorization import require_owner, vault_of
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Caller


@dataclass(frozen=True, slots=True)
class Explanation:
    """`reason` is a Reason of the policy package, or `inactive_principal` or `vault_not_in_scope`."""

    principal_id: UUID
    path: str
    permission: str
    allowed: bool
    reason: str
    policies: tuple[UUID, ...]


def explain_access(
    *,
    caller: Caller,
    vault_id: UUID,
    principal_id: UUID | None,
    path: str,
    permission: Permission,
) -> Explanation:
    """Explain a decision about the caller itself or, to the vault's owner, about anybody.

    Conditions are judged now and, about the caller, from its own address. Raises NotFound for the
    vault, Forbidden, InvalidInput for an unknown principal.
    """
    about = principal_id or caller.id
    vault = vault_of(caller, vault_id)
    if about != caller.id:
        require_owner(caller=caller, vault_id=vault_id, action="access.explain")
    subject = (
        Principal.objects.select_related(*WITH_OWNER)
        .filter(pk=about)
        .annotate(
            rules=rules_in(vault_id),
            agent_vault_ids=F("agent__vault_ids"),
        )
        .first()
    )
    if subject is None:
        raise InvalidInput({"principal_id": ["There is no such principal."]})
    decision = decide(
        is_owner=subject.vaults.filter(pk=vault_id).exists(),
        rules=parse_rules(subject.rules),
        path=path,
        permission=permission,
        address=caller.actor.address if about == caller.id else None,
        now=timezone.now(),
    )
    allowed, reason, policies = decision.allowed, decision.reason.value, decision.policy_ids
    restricted = bool(subject.agent_vault_ids) and str(vault_id) not in subject.agent_vault_ids
    # Of its own token the caller knows, of those of others nobody does.
    narrowed = about == caller.id and not caller.may_enter(vault_id)
    if why_inactive(subject, now=timezone.now()) is not None:
        allowed, reason, policies = False, "inactive_principal", ()
    elif restricted or narrowed:
        allowed, reason, policies = False, "vault_not_in_scope", ()
    with transaction.atomic():
        record(
            "access.explain",
            SUCCESS,
            actor=caller.actor,
            resource=Resource("principal", about, vault.id),
            details={"path": path, "permission": permission.value, "reason": reason},
        )
    return Explanation(about, path, permission.value, allowed, reason, policies)

"""Who sees which events: an owner those of its vaults, everyone its own, auditors all.

Auditors are people with Django's permission `secrets_app.view_auditevent`.
"""

from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Q

from secrets_app.models import Principal, Vault
from secrets_app.services.caller import Caller

AUDITOR = "secrets_app.view_auditevent"


@dataclass(frozen=True, slots=True)
class Visibility:
    """`vault_ids`: those the caller owns or owned; of no interest for an auditor."""

    principal_id: UUID
    is_auditor: bool
    vault_ids: tuple[UUID, ...] = ()

    def condition(self) -> Q:
        """What a visible event fulfils."""
        if self.is_auditor:
            return Q()
        return Q(actor_id=self.principal_id) | Q(vault_id__in=self.vault_ids)


def visibility_of(caller: Caller) -> Visibility:
    if caller.kind == Principal.Kind.AGENT:
        return Visibility(caller.id, is_auditor=False)
    user = get_user_model().objects.get(principal=caller.id)
    if user.has_perm(AUDITOR):
        return Visibility(caller.id, is_auditor=True)
    owned = Vault.objects.filter(owner_id=caller.id).values_list("pk", flat=True)
    return Visibility(caller.id, is_auditor=False, vault_ids=tuple(owned))

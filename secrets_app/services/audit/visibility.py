"""Decide who sees which events: owners those of their vaults, all their own, auditors everything.

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
    """What a caller may see. `vault_ids`: vaults that it owns or owned; empty for auditors."""

    principal_id: UUID
    is_auditor: bool
    vault_ids: tuple[UUID, ...] = ()

    def condition(self) -> Q:
        """Return the condition that visible events meet."""
        if self.is_auditor:
            return Q()
        return Q(actor_id=self.principal_id) | Q(vault_id__in=self.vault_ids)


def visibility_of(caller: Caller) -> Visibility:
    """Work out what a caller may see."""
    if caller.kind == Principal.Kind.AGENT:
        return Visibility(caller.id, is_auditor=False)
    user = get_user_model().objects.get(principal=caller.id)
    if user.has_perm(AUDITOR):
        return Visibility(caller.id, is_auditor=True)
    owned = Vault.objects.filter(owner_id=caller.id).values_list("pk", flat=True)
    return Visibility(caller.id, is_auditor=False, vault_ids=tuple(owned))

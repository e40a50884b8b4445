"""Decide who sees which events: owners those of their vaults, all their own, auditors everything.

Auditors are people with Django's permission `secrets_app.view_auditevent`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Q

from secrets_app.models import Principal, Vault
from secrets_app.services.caller import Caller

AUDITOR = "secrets_app.view_auditevent"


@dataclass(frozen=True, slots=True)
class Visibility:
    """What a caller may see. `vault_ids`: vaults that it owns or owned; empty for auditors.

    `restrictions`: lists of vaults. Outside of any the caller sees nothing, not even its own events.
    """

    principal_id: UUID
    is_auditor: bool
    vault_ids: tuple[UUID, ...] = ()
    restrictions: tuple[Sequence[str], ...] = ()

    def within(self) -> Q:
        """Return the condition of events that name no vault outside the restrictions."""
        inside = Q()
        for allowed in self.restrictions:
            inside &= Q(vault_id__isnull=True) | Q(vault_id__in=allowed)
        return inside

    def condition(self) -> Q:
        """Return the condition that visible events meet."""
        if self.is_auditor:
            return self.within()
        return self.within() & (Q(actor_id=self.principal_id) | Q(vault_id__in=self.vault_ids))


def visibility_of(caller: Caller) -> Visibility:
    """Work out what a caller may see."""
    if caller.kind == Principal.Kind.AGENT:
        return Visibility(caller.id, is_auditor=False, restrictions=caller.restrictions)
    user = get_user_model().objects.get(principal=caller.id)
    if user.has_perm(AUDITOR):
        return Visibility(caller.id, is_auditor=True, restrictions=caller.restrictions)
    owned = Vault.objects.filter(owner_id=caller.id).values_list("pk", flat=True)
    return Visibility(
        caller.id, is_auditor=False, vault_ids=tuple(owned), restrictions=caller.restrictions
    )

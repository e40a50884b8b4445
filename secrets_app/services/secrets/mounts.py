"""Vaults by name, for a protocol that names them so: first one's own, then those that others share."""

import re
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.db.models import QuerySet, UUIDField
from django.utils import timezone

from secrets_app.models import Agent, Principal, Vault
from secrets_app.models.named_vaults import vaults_named
from secrets_app.models.request_state import Fetch
from secrets_app.models.rules import parse_rules, rules_in
from secrets_app.policy.decision import Permission
from secrets_app.policy.scope import scope_of
from secrets_app.services.caller import Caller
from secrets_app.services.identity import identify
from secrets_app.services.secrets.vaults import list_vaults
from secrets_app.sql.compiled import CompiledQuery, Slot

# Of more vaults of one name nobody looks which one is meant.
_MOST = 20
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """What a name means to somebody. `vault_id` is None for no vault, and for one of several."""

    vault_id: UUID | None = None
    is_shared: bool = False
    is_ambiguous: bool = False


def identify_at(
    *,
    bearer: str,
    mount: str,
    address: str | None,
    request_id: UUID,
    path: str | None = None,
    fetch: Fetch = Fetch.NOTHING,
    door: str | None = None,
) -> tuple[Caller, Mount]:
    """Tell who holds a credential, and what it means by a vault's id, or by a name.

    A name is that of an own vault (an agent's own are those of its owner that a policy opens to it). Where
    there is none it is that of the one vault of this name that is shared, since anybody can share vaults
    of any name. Vaults that agent or token are restricted from do not count, nor do those whose policies
    allow nothing here and now. Arguments and exceptions are those of `identify`.
    """
    known = partial(
        identify,
        bearer=bearer,
        address=address,
        request_id=request_id,
        path=path,
        fetch=fetch,
        door=door,
    )
    if _UUID.fullmatch(mount):
        vault_id = UUID(mount)
        return known(vault_id=vault_id), Mount(vault_id=vault_id)
    if _NAME.fullmatch(mount) is None:
        return known(), Mount()
    caller = known(vault_name=mount)
    meant = _first_seen(caller)
    if meant is None:
        # Several of one name, or one that is closed to this credential.
        meant = _look_for(caller, mount)
        caller = known(vault_id=meant.vault_id)
    return caller, meant


def _first_seen(caller: Caller) -> Mount | None:
    """What the name means, if the vault that the caller was identified with tells."""
    vault = caller.vault
    if vault is None or vault.named is None:
        return Mount()
    if not caller.may_enter(vault.id):
        return None
    if vault.named.is_own:
        return Mount(vault_id=vault.id)
    is_only = vault.named.namesakes == 1 < _MOST
    return Mount(vault_id=vault.id, is_shared=True) if is_only else None


def _look_for(caller: Caller, name: str) -> Mount:
    rows = _SEEN.all(principal=caller.id, name=name, now=timezone.now())
    seen = [row for row in rows if caller.may_enter(row["pk"])]
    own = [row["pk"] for row in seen if row["is_own"]]
    if own:
        return Mount(vault_id=own[0]) if len(own) == 1 else Mount(is_ambiguous=True)
    shared = [row["pk"] for row in seen]
    if len(rows) == _MOST:
        return Mount(is_ambiguous=True)
    if len(shared) > 1:
        shared = [pk for pk in shared if _gives_something(caller, pk)]
    if len(shared) > 1:
        return Mount(is_ambiguous=True)
    return Mount(vault_id=shared[0], is_shared=True) if shared else Mount()


def list_mounts(*, caller: Caller) -> list[tuple[str, Vault]]:
    """The vaults that a caller sees, each with what it is to be called: its name, where that means it and
    nothing else, otherwise its id."""
    vaults = list(list_vaults(caller=caller))
    mine = {caller.id, *Agent.objects.filter(pk=caller.id).values_list("owner_id", flat=True)}
    own = [vault.name for vault in vaults if vault.owner_id in mine]
    shared = [vault.name for vault in vaults if vault.owner_id not in mine]
    told = []
    for vault in vaults:
        rivals = own if vault.owner_id in mine else own + shared
        is_name = _NAME.fullmatch(vault.name) is not None and not _UUID.fullmatch(vault.name)
        only = is_name and rivals.count(vault.name) == 1
        told.append((vault.name if only else str(vault.pk), vault))
    return told


def _gives_something(caller: Caller, vault_id: UUID) -> bool:
    who = Principal.objects.filter(pk=caller.id)
    text = who.annotate(rules=rules_in(vault_id)).values_list("rules", flat=True).first()
    rules, now, address = parse_rules(text), timezone.now(), caller.actor.address
    scopes = (
        scope_of(is_owner=False, rules=rules, permission=each, address=address, now=now)
        for each in Permission
    )
    return any(scope.allows and "**" not in scope.denies for scope in scopes)


def _seen() -> list[QuerySet[Any, Any]]:
    return [vaults_named(Slot("principal", UUIDField())).values("pk", "is_own")[:_MOST]]


_SEEN = CompiledQuery(_seen)

"""Vaults by name, for a protocol that names them so: first one's own, then those that others share."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import (
    CharField,
    DateTimeField,
    Exists,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    UUIDField,
)
from django.utils import timezone

from secrets_app.errors import Unauthenticated
from secrets_app.models import Agent, ApiKey, Policy, Principal, Vault
from secrets_app.models.json_text import JSONTextField
from secrets_app.models.rules import parse_rules, policies_of, rules_in
from secrets_app.policy.decision import Permission
from secrets_app.policy.scope import scope_of
from secrets_app.services.caller import Caller, is_within
from secrets_app.services.identity.api_keys import USER_KEY_PREFIX, digest_api_key
from secrets_app.services.identity.tokens import read_token
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


def find_mount(*, bearer: str, mount: str, address: str | None) -> Mount:
    """What the holder of a credential means by a vault's id, or by a name.

    A name is that of an own vault (an agent's own are those of its owner that a policy opens to it). Where
    there is none it is that of the one vault of this name that is shared, since anybody can share vaults
    of any name. Vaults that agent or token are restricted from do not count, nor do those whose policies
    allow nothing here and now. The credential is judged afterwards, by `identify`: until then this is
    told to nobody.
    """
    if _UUID.fullmatch(mount):
        return Mount(vault_id=UUID(mount))
    if _NAME.fullmatch(mount) is None:
        return Mount()
    of_token: tuple[str, ...] = ()
    now = timezone.now()
    if bearer.startswith(USER_KEY_PREFIX):
        digest = digest_api_key(bearer)
        who = Principal.objects.filter(api_keys__digest=digest)
        rows = _BY_KEY.all(digest=digest, name=mount, now=now)
    else:
        try:
            claims = read_token(bearer)
        except Unauthenticated:
            return Mount()
        of_token = claims.vault_ids
        who = Principal.objects.filter(pk=claims.principal_id)
        rows = _BY_PRINCIPAL.all(principal=claims.principal_id, name=mount, now=now)
    seen = [
        row
        for row in rows
        if is_within(tuple(ids for ids in (row["agent_vaults"], of_token) if ids), row["pk"])
    ]
    own = [row["pk"] for row in seen if row["is_own"]]
    if own:
        return Mount(vault_id=own[0]) if len(own) == 1 else Mount(is_ambiguous=True)
    shared = [row["pk"] for row in seen]
    if len(rows) == _MOST:
        return Mount(is_ambiguous=True)
    if len(shared) > 1:
        shared = [pk for pk in shared if _gives_something(who, pk, address)]
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


def _gives_something(who: QuerySet[Principal], vault_id: UUID, address: str | None) -> bool:
    text = who.annotate(rules=rules_in(vault_id)).values_list("rules", flat=True).first()
    rules, now = parse_rules(text), timezone.now()
    scopes = (
        scope_of(is_owner=False, rules=rules, permission=each, address=address, now=now)
        for each in Permission
    )
    return any(scope.allows and "**" not in scope.denies for scope in scopes)


def _visible(principal_id: Any) -> QuerySet[Vault, Any]:
    now = Slot("now", DateTimeField())
    allowed = policies_of(principal_id).filter(
        Q(expires_at__isnull=True) | Q(expires_at__gt=now), effect=Policy.Effect.ALLOW
    )
    mine = Q(owner_id=principal_id) | Q(pk__in=allowed.order_by().values("vault_id"))
    agent = Agent.objects.filter(principal_id=principal_id)
    named = (
        Vault.objects.filter(mine, name=Slot("name", CharField()), deleted_at__isnull=True)
        .annotate(
            is_own=Exists(Principal.objects.filter(pk=principal_id, vaults=OuterRef("pk")))
            | Exists(agent.filter(owner_id=OuterRef("owner_id"))),
            agent_vaults=Subquery(agent.values("vault_ids")[:1], output_field=JSONTextField()),
        )
        .order_by("-is_own", "pk")
    )
    return named.values("pk", "is_own", "agent_vaults")[:_MOST]


def _by_key() -> list[QuerySet[Any, Any]]:
    key = ApiKey.objects.filter(digest=Slot("digest", CharField()))
    return [_visible(Subquery(key.values("principal_id")[:1], output_field=UUIDField()))]


_BY_PRINCIPAL = CompiledQuery(lambda: [_visible(Slot("principal", UUIDField()))])
_BY_KEY = CompiledQuery(_by_key)

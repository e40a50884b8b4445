"""What a request has to know first, in one statement: who is calling, what it may do in the vault, and what
lies at the path that the URL names.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import (
    BooleanField,
    CharField,
    Count,
    Exists,
    ExpressionWrapper,
    F,
    FilteredRelation,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    UUIDField,
    Value,
    Window,
)
from django.db.models.functions import Coalesce
from django.utils import timezone

from secrets_app.models.named_vaults import vaults_named
from secrets_app.models.principal import ApiKey, Principal, RevokedToken
from secrets_app.models.rules import rules_in
from secrets_app.models.secret import Secret, SecretVersion
from secrets_app.models.vault import Vault, VaultKey, is_consistent
from secrets_app.models.versions_to_read import OF_ANY_SIZE, REACHED, versions_within_reach
from secrets_app.sql.compiled import CompiledQuery, OfBeginning, Slot


class Fetch(Enum):
    """What a request wants to know of the secret that its URL names, besides who may do what."""

    NOTHING = "the service looks for itself, once the caller is judged"
    CURRENT = "the version to read"
    NEXT = "where the next version goes"


@dataclass(frozen=True)
class PathState:
    """What was found at a path, as rows that become objects when a service asks for them: until the caller
    is judged, nothing is done with them."""

    path: str
    fetch: Fetch
    rows: Sequence[Callable[[], Any]] = ()

    @cached_property
    def version(self) -> SecretVersion | None:
        """The version to read, with `secret`, `vault_key` and `created_by`."""
        found: Any = self.rows[0]()
        if found is not None and found.is_whole:
            for name in OF_ANY_SIZE:
                setattr(found, name, getattr(found, REACHED + name))
        return found  # type: ignore[no-any-return]

    @property
    def is_whole(self) -> bool:
        """Whether value and metadata of the version came along: see `models.versions_to_read`."""
        return bool(getattr(self.version, "is_whole", False))

    @cached_property
    def secret(self) -> Secret | None:
        return self.rows[0]()  # type: ignore[no-any-return]

    @cached_property
    def vault_key(self) -> VaultKey | None:
        """The one to seal under."""
        return self.rows[1]()  # type: ignore[no-any-return]


class Found(NamedTuple):
    """The row of a principal, that of the vault, and what was fetched at the path."""

    row: dict[str, Any]
    vault: dict[str, Any] | None
    path_state: PathState | None


def find_by_token(
    *,
    principal_id: UUID,
    api_key_id: UUID | None,
    jti: str,
    parent: str | None,
    session: str | None,
    vault: UUID | str | None,
    path: str | None,
    fetch: Fetch,
) -> Found | None:
    """Find a token's principal, the vault of an id or a name, and what is to be fetched at a valid path.

    By a name it is the first of the vaults that the principal sees; the caller judges what it means.
    """
    values = {
        "principal": principal_id,
        "key": api_key_id,
        "jti": jti,
        "parent": parent,
        "session": session,
    }
    return _find(_BY_TOKEN, fetch, vault, path, values)


def find_by_api_key(
    *, digest: str, vault: UUID | str | None, path: str | None, fetch: Fetch
) -> Found | None:
    """Do the same for a person's API key, by its digest."""
    return _find(_BY_KEY, fetch, vault, path, {"digest": digest})


def _find(
    queries: "_Queries",
    fetch: Fetch,
    vault: UUID | str | None,
    path: str | None,
    values: dict[str, Any],
) -> Found | None:
    if vault is None or path is None:
        fetch = Fetch.NOTHING
    by_name = isinstance(vault, str)
    values |= {"name": vault, "now": timezone.now()} if by_name else {"vault": vault}
    found = queries[fetch, by_name].first(path=path, **values)
    if found is None:
        return None
    row, (vault_row, *others) = found
    return Found(row, vault_row(), PathState(path or "", fetch, others) if others else None)


def _principal(who: Q, key_condition: Q, revoked: Any, vault_id: Any) -> QuerySet[Principal, Any]:
    """State of principal and credential, and the policies of the caller in the vault."""
    # An agent has no user of its own; its owner's tells whether it may work.
    user_id = Coalesce(OuterRef("user_id"), OuterRef("agent__owner__user_id"))
    user: QuerySet[Any] = QuerySet(get_user_model()).filter(pk=user_id)  # as no manager filters it
    return (
        Principal.objects.filter(who)
        .annotate(
            user_is_active=Subquery(user.values("is_active"), output_field=BooleanField()),
            agent_vault_ids=F("agent__vault_ids"),
            owner_is_active=F("agent__owner__is_active"),
            owner_expires_at=F("agent__owner__expires_at"),
            revoked=revoked,
            rules=rules_in(vault_id),
            key=FilteredRelation("api_keys", condition=key_condition),
        )
        .values(
            "pk",
            "kind",
            "is_active",
            "expires_at",
            "token_generation",
            "user_is_active",
            "agent_vault_ids",
            "owner_is_active",
            "owner_expires_at",
            "revoked",
            "rules",
            "key__id",
            "key__revoked_at",
            "key__expires_at",
            "key__last_used_at",
        )
    )


def _by_token(vault_id: Any) -> QuerySet[Principal, Any]:
    # Its own end, that of the token it was made from, or that of the session it belongs to.
    ended = (
        Q(jti=Slot("jti", CharField()))
        | Q(jti=Slot("parent", CharField()))
        | Q(jti=Slot("session", CharField()))
    )
    revoked = Exists(RevokedToken.objects.filter(ended))
    key = Q(api_keys__pk=Slot("key", UUIDField()))
    return _principal(Q(pk=Slot("principal", UUIDField())), key, revoked, vault_id)


def _by_key(vault_id: Any) -> QuerySet[Principal, Any]:
    digest = Q(api_keys__digest=Slot("digest", CharField()))
    never = Value(False, output_field=BooleanField())
    return _principal(digest & Q(kind=Principal.Kind.USER), digest, never, vault_id)


def _vault(vault_id: Any, *, by_name: bool) -> QuerySet[Vault, Any]:
    rows = Vault.objects.filter(pk=vault_id, deleted_at__isnull=True)
    rows = rows.annotate(consistent=ExpressionWrapper(is_consistent(), BooleanField()))
    if not by_name:
        return rows.values("pk", "owner_id", "consistent")
    return rows.annotate(
        is_own=OfBeginning("is_own", BooleanField()),
        namesakes=OfBeginning("namesakes", IntegerField()),
    ).values("pk", "owner_id", "consistent", "is_own", "namesakes")


def _first_named(principal_id: Any) -> QuerySet[Any, Any]:
    """The first of the vaults of a name, and how many there are."""
    named = vaults_named(principal_id).annotate(namesakes=Window(Count("*")))
    first: QuerySet[Any, Any] = named.values("pk", "is_own", "namesakes")[:1]
    return first


def _holder_of_key() -> Subquery:
    keys = ApiKey.objects.filter(digest=Slot("digest", CharField()))
    return Subquery(keys.values("principal_id")[:1], output_field=UUIDField())


def _at_path(vault_id: Any, fetch: Fetch) -> list[QuerySet[Any, Any]]:
    path = Slot("path", CharField())
    secret = Secret.objects.filter(vault_id=vault_id, path=path)
    if fetch is Fetch.CURRENT:
        # By values, not by a join: with old statistics a join may look through all of a vault.
        rows = versions_within_reach()
        current = Subquery(secret.values("current_version")[:1])
        return [
            rows.filter(vault_id=vault_id, secret=Subquery(secret.values("pk")[:1]), number=current)
        ]
    if fetch is Fetch.NEXT:
        return [
            secret.select_related("settings"),
            VaultKey.objects.filter(vault_id=vault_id, state=VaultKey.State.ACTIVE),
        ]
    return []


_Queries = dict[tuple[Fetch, bool], CompiledQuery]


def _queries(
    who: Callable[[Any], QuerySet[Principal, Any]], principal_id: Callable[[], Any]
) -> _Queries:
    """A query for each thing to fetch, in a vault by its id and in one by its name."""

    def make(fetch: Fetch, by_name: bool) -> CompiledQuery:
        def parts() -> list[QuerySet[Any, Any]]:
            field = UUIDField()
            vault_id = OfBeginning("pk", field) if by_name else Slot("vault", field)
            vault = _vault(vault_id, by_name=by_name)
            return [who(vault_id), vault, *_at_path(vault_id, fetch)]

        return CompiledQuery(parts, (lambda: _first_named(principal_id())) if by_name else None)

    return {(fetch, by_name): make(fetch, by_name) for fetch in Fetch for by_name in (False, True)}


_BY_TOKEN = _queries(_by_token, lambda: Slot("principal", UUIDField()))
_BY_KEY = _queries(_by_key, _holder_of_key)

"""What a request has to know first, in one statement: who is calling, what it may do in the vault, and what
lies at the path that the URL names.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import (
    BooleanField,
    CharField,
    Exists,
    ExpressionWrapper,
    F,
    FilteredRelation,
    Func,
    Q,
    QuerySet,
    Subquery,
    UUIDField,
    Value,
)
from django.db.models.functions import Length

from secrets_app.models.principal import Principal, RevokedToken
from secrets_app.models.rules import rules_in
from secrets_app.models.secret import Secret, SecretVersion, versions_with_rows
from secrets_app.models.vault import Vault, VaultKey, is_consistent
from secrets_app.sql.any_of import ListSlot
from secrets_app.sql.compiled import CompiledQuery, Slot


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
            for name in _OF_ANY_SIZE:
                setattr(found, name, getattr(found, _REACHED + name))
        return found  # type: ignore[no-any-return]

    @property
    def is_whole(self) -> bool:
        """Whether value and metadata of the version came along: see `_SMALL`."""
        return bool(getattr(self.version, "is_whole", False))

    @cached_property
    def secret(self) -> Secret | None:
        return self.rows[0]()  # type: ignore[no-any-return]

    @cached_property
    def vault_key(self) -> VaultKey | None:
        """The one to seal under."""
        return self.rows[1]()  # type: ignore[no-any-return]


# The columns of a version that can be of any size, and how many bytes of each come along before the caller
# is judged. It must not be able to tell sizes from the time that an answer takes.
_OF_ANY_SIZE = ("value", "metadata", "rotation_policy")
_SMALL = 2048
_REACHED = "reached_"

Found = tuple[dict[str, Any], PathState | None]


def find_by_token(
    *,
    principal_id: UUID,
    api_key_id: UUID | None,
    jti: str,
    parent: str | None,
    vault_id: UUID | None,
    path: str | None,
    fetch: Fetch,
) -> Found | None:
    """The row of a token's principal, and what is to be fetched at a valid path of the vault."""
    return _find(
        _BY_TOKEN,
        fetch,
        principal=principal_id,
        key=api_key_id,
        jti=jti,
        parent=parent,
        vault=vault_id,
        path=path,
    )


def find_by_api_key(
    *, digest: str, vault_id: UUID | None, path: str | None, fetch: Fetch
) -> Found | None:
    """The same for a person's API key, by its digest."""
    return _find(_BY_KEY, fetch, digest=digest, vault=vault_id, path=path)


def current_sizes(vault_id: UUID, paths: Collection[str]) -> list[dict[str, Any]]:
    """Of the versions to read at valid paths of a vault, those that are there: `pk`, `secret__path`,
    `max_access_count` and `size`, the length of the sealed value in bytes, None where it is destroyed."""
    found: list[dict[str, Any]] = _AT_PATHS.all(vault=vault_id, paths=paths) if paths else []
    return found


def versions_by_id(vault_id: UUID, ids: Collection[UUID]) -> list[SecretVersion]:
    """Versions of a vault with all that is needed to open and to show them."""
    found: list[SecretVersion] = _BY_IDS.all(vault=vault_id, ids=ids)
    return found


def _at_paths() -> list[QuerySet[Any, Any]]:
    vault_id = Slot("vault", UUIDField())
    named = Secret.objects.filter(vault_id=vault_id, path__any_of=ListSlot("paths", CharField()))
    # By ids and not by a join, so that no database begins with all versions of the vault.
    current = (
        SecretVersion.objects.filter(
            vault_id=vault_id,
            secret_id__in=Subquery(named.values("pk")),
            number=F("secret__current_version"),
        )
        .annotate(size=Length("value"))
        .values("pk", "secret__path", "max_access_count", "size")
    )
    return [current]


def _by_ids() -> list[QuerySet[Any, Any]]:
    rows = versions_with_rows(Slot("vault", UUIDField()))
    return [rows.filter(pk__any_of=ListSlot("ids", UUIDField()))]


_AT_PATHS = CompiledQuery(_at_paths)
_BY_IDS = CompiledQuery(_by_ids)


def _find(queries: dict[Fetch, CompiledQuery], fetch: Fetch, **values: Any) -> Found | None:
    if values["vault"] is None or values["path"] is None:
        fetch = Fetch.NOTHING
    found = queries[fetch].first(**values)
    if found is None:
        return None
    row, others = found
    return row, PathState(values["path"], fetch, others) if others else None


class _WithinReach(Func):
    """Whether the columns of any size are all small; or one of them where they are, NULL where not.

    No database has to fetch a column of bytes to tell its size.
    """

    def __init__(self, *columns: Any, shown: str | None = None, **extra: Any) -> None:
        field: Any = SecretVersion._meta.get_field(shown) if shown else BooleanField()
        super().__init__(*(columns or map(F, _OF_ANY_SIZE)), output_field=field, **extra)
        self._shown = shown

    def as_sql(self, compiler: Any, connection: Any, *_: Any, **__: Any) -> Any:
        columns = [compiler.compile(each)[0] for each in self.source_expressions]
        # Of a text that is characters on SQLite, whose older releases know no other size.
        size = "OCTET_LENGTH" if connection.vendor == "postgresql" else "LENGTH"
        small = " AND ".join(f"COALESCE({size}({c}), 0) <= {_SMALL}" for c in columns)
        if self._shown is None:
            return f"({small})", []
        return f"CASE WHEN {small} THEN {columns[_OF_ANY_SIZE.index(self._shown)]} END", []


def _within_reach() -> dict[str, Any]:
    reached = {_REACHED + name: _WithinReach(shown=name) for name in _OF_ANY_SIZE}
    return reached | {"is_whole": _WithinReach()}


def _principal(who: Q, key_condition: Q, revoked: Any) -> QuerySet[Principal, Any]:
    """State of principal and credential, and the policies of the caller in the vault."""
    vault_id = Slot("vault", UUIDField())
    vault = Vault.objects.filter(pk=vault_id, deleted_at__isnull=True)
    consistent = ExpressionWrapper(is_consistent(), BooleanField())
    return (
        Principal.objects.filter(who)
        .annotate(
            user_is_active=F("user__is_active"),
            agent_vault_ids=F("agent__vault_ids"),
            owner_is_active=F("agent__owner__is_active"),
            owner_expires_at=F("agent__owner__expires_at"),
            owner_user_is_active=F("agent__owner__user__is_active"),
            revoked=revoked,
            vault_is_consistent=Subquery(vault.values(consistent=consistent)),
            vault_owner=Subquery(vault.values("owner_id"), output_field=UUIDField()),
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
            "owner_user_is_active",
            "revoked",
            "vault_owner",
            "vault_is_consistent",
            "rules",
            "key__id",
            "key__revoked_at",
            "key__expires_at",
            "key__last_used_at",
        )
    )


def _by_token() -> QuerySet[Principal, Any]:
    # Its own end, or that of the token it was made from.
    ended = Q(jti=Slot("jti", CharField())) | Q(jti=Slot("parent", CharField()))
    revoked = Exists(RevokedToken.objects.filter(ended))
    return _principal(
        Q(pk=Slot("principal", UUIDField())), Q(api_keys__pk=Slot("key", UUIDField())), revoked
    )


def _by_key() -> QuerySet[Principal, Any]:
    digest = Q(api_keys__digest=Slot("digest", CharField()))
    never = Value(False, output_field=BooleanField())
    return _principal(digest & Q(kind=Principal.Kind.USER), digest, never)


def _at_path(fetch: Fetch) -> list[QuerySet[Any, Any]]:
    vault_id, path = Slot("vault", UUIDField()), Slot("path", CharField())
    secret = Secret.objects.filter(vault_id=vault_id, path=path)
    if fetch is Fetch.CURRENT:
        # By values, not by a join: with old statistics a join may look through all of a vault.
        rows = SecretVersion.objects.select_related("secret__settings", "vault_key", "created_by")
        rows = rows.defer(*_OF_ANY_SIZE).annotate(**_within_reach())
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


_BY_TOKEN = {each: CompiledQuery(lambda s=each: [_by_token(), *_at_path(s)]) for each in Fetch}  # type: ignore[misc]
_BY_KEY = {each: CompiledQuery(lambda s=each: [_by_key(), *_at_path(s)]) for each in Fetch}  # type: ignore[misc]

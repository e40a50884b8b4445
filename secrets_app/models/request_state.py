"""What a request has to know first, in one statement: who is calling, what it may do in the vault, and what
lies at the path that the URL names.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from typing import Any
from uuid import UUID

from django.db.models import (
    BooleanField,
    CharField,
    Exists,
    ExpressionWrapper,
    F,
    FilteredRelation,
    Q,
    QuerySet,
    Subquery,
    UUIDField,
    Value,
)

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


@dataclass(frozen=True, slots=True)
class PathState:
    """What was found at a path. `version` has `secret`, `vault_key` and `created_by`; `vault_key` is the
    one to seal under."""

    path: str
    fetch: Fetch
    version: SecretVersion | None = None
    secret: Secret | None = None
    vault_key: VaultKey | None = None


Found = tuple[dict[str, Any], PathState | None]


def find_by_token(
    *,
    principal_id: UUID,
    api_key_id: UUID | None,
    jti: str,
    vault_id: UUID | None,
    path: str | None,
    fetch: Fetch,
) -> Found | None:
    """The row of a token's principal, and what is sought at a valid path of the vault."""
    return _find(
        _BY_TOKEN,
        fetch,
        principal=principal_id,
        key=api_key_id,
        jti=jti,
        vault=vault_id,
        path=path,
    )


def find_by_api_key(
    *, digest: str, vault_id: UUID | None, path: str | None, fetch: Fetch
) -> Found | None:
    """The same for a person's API key, by its digest."""
    return _find(_BY_KEY, fetch, digest=digest, vault=vault_id, path=path)


def current_versions(vault_id: UUID, paths: Collection[str]) -> list[SecretVersion]:
    """The versions to read at valid paths of a vault, those that are there."""
    found: list[SecretVersion] = _AT_PATHS.all(vault=vault_id, paths=paths) if paths else []
    return found


def _at_paths() -> list[QuerySet[Any, Any]]:
    vault_id = Slot("vault", UUIDField())
    named = Secret.objects.filter(vault_id=vault_id, path__any_of=ListSlot("paths", CharField()))
    # By ids and not by a join, so that no database begins with all versions of the vault.
    current = versions_with_rows(vault_id).filter(
        secret_id__in=Subquery(named.values("pk")), number=F("secret__current_version")
    )
    return [current]


_AT_PATHS = CompiledQuery(_at_paths)


def _find(queries: dict[Fetch, CompiledQuery], fetch: Fetch, **values: Any) -> Found | None:
    if values["vault"] is None or values["path"] is None:
        fetch = Fetch.NOTHING
    found = queries[fetch].first(**values)
    if found is None:
        return None
    state = None
    if fetch is Fetch.CURRENT:
        state = PathState(values["path"], fetch, version=found[1])
    elif fetch is Fetch.NEXT:
        state = PathState(values["path"], fetch, secret=found[1], vault_key=found[2])
    return found[0], state


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
    revoked = Exists(RevokedToken.objects.filter(jti=Slot("jti", CharField())))
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
        rows = SecretVersion.objects.select_related("secret", "vault_key", "created_by")
        current = Subquery(secret.values("current_version")[:1])
        return [
            rows.filter(vault_id=vault_id, secret=Subquery(secret.values("pk")[:1]), number=current)
        ]
    if fetch is Fetch.NEXT:
        return [secret, VaultKey.objects.filter(vault_id=vault_id, state=VaultKey.State.ACTIVE)]
    return []


_BY_TOKEN = {each: CompiledQuery(lambda s=each: [_by_token(), *_at_path(s)]) for each in Fetch}  # type: ignore[misc]
_BY_KEY = {each: CompiledQuery(lambda s=each: [_by_key(), *_at_path(s)]) for each in Fetch}  # type: ignore[misc]

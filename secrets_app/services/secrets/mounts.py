"""Vaults by name, for a protocol that names them so."""

from typing import Any
from uuid import UUID

from django.db.models import CharField, DateTimeField, Q, QuerySet, Subquery, UUIDField
from django.utils import timezone

from secrets_app.errors import Unauthenticated
from secrets_app.models import ApiKey, Policy, Vault
from secrets_app.models.rules import policies_of
from secrets_app.services.identity.api_keys import USER_KEY_PREFIX, digest_api_key
from secrets_app.services.identity.tokens import read_token
from secrets_app.sql.compiled import CompiledQuery, Slot

# One is the vault that is meant; of two, nobody can say.
_ENOUGH = 2


def vaults_named(*, bearer: str, name: str) -> list[UUID]:
    """The ids of the vaults of this name that the holder of a credential owns or has a policy in, two at
    most. The credential is judged afterwards, by `identify`: until then this is told to nobody."""
    now = timezone.now()
    if bearer.startswith(USER_KEY_PREFIX):
        found = _BY_KEY.all(digest=digest_api_key(bearer), name=name, now=now)
    else:
        try:
            claims = read_token(bearer)
        except Unauthenticated:
            return []
        found = _BY_PRINCIPAL.all(principal=claims.principal_id, name=name, now=now)
    return [row["pk"] for row in found]


def _visible(principal_id: Any) -> QuerySet[Vault, Any]:
    now = Slot("now", DateTimeField())
    allowed = policies_of(principal_id).filter(
        Q(expires_at__isnull=True) | Q(expires_at__gt=now), effect=Policy.Effect.ALLOW
    )
    mine = Q(owner_id=principal_id) | Q(pk__in=allowed.order_by().values("vault_id"))
    named = Vault.objects.filter(mine, name=Slot("name", CharField()), deleted_at__isnull=True)
    return named.order_by("pk").values("pk")[:_ENOUGH]


def _by_key() -> list[QuerySet[Any, Any]]:
    key = ApiKey.objects.filter(digest=Slot("digest", CharField()))
    return [_visible(Subquery(key.values("principal_id")[:1], output_field=UUIDField()))]


_BY_PRINCIPAL = CompiledQuery(lambda: [_visible(Slot("principal", UUIDField()))])
_BY_KEY = CompiledQuery(_by_key)

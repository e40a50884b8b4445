"""Who is calling, and may they? The first of a request's two steps, in one database query.

`identify` brings the state of the principal, its credential and the vault with the policies that
concern the caller, and for a read or write what lies at the path. Nothing of it is cached: what was
revoked is refused on the next request.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from secrets_app.errors import Forbidden, NotFound, Unauthenticated
from secrets_app.models.request_state import Fetch, PathState, find_by_api_key, find_by_token
from secrets_app.models.rules import parse_rules
from secrets_app.policy.decision import Decision, Effect, Permission, Rule, decide
from secrets_app.services.audit import DENIED, FAILURE, Actor, Resource, record
from secrets_app.services.identity.api_keys import USER_KEY_PREFIX, digest_api_key, note_use
from secrets_app.services.identity.tokens import Claims, read_token
from secrets_app.tracing import span


@dataclass(frozen=True, slots=True)
class VaultAccess:
    """A vault that exists, and what the caller has in it; `place` where the request sought it."""

    id: UUID
    is_owner: bool
    rules: tuple[Rule, ...]
    place: PathState | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated principal. `vault` is the one the request names, None where it does not exist.

    `claims` is None when the credential was a raw API key.
    """

    id: UUID
    kind: str
    actor: Actor
    claims: Claims | None
    vault: VaultAccess | None
    is_authenticated = True

    def place(self, vault_id: UUID, path: str) -> PathState | None:
        """What came along with the caller of this very path; it is for the service to judge."""
        vault = self.vault
        if vault is None or vault.id != vault_id or vault.place is None:
            return None
        return vault.place if vault.place.path == path else None


def identify(
    *,
    bearer: str,
    vault_id: UUID | None,
    address: str | None,
    request_id: UUID,
    path: str | None = None,
    fetch: Fetch = Fetch.NOTHING,
) -> Caller:
    """Tell who holds this token or personal API key.

    With `path`, a valid one, what is `sought` there comes along in the same query. Nobody has been
    judged by then: it is sealed, and stays within the services.
    Raises Unauthenticated, the same for every reason, with an audit event.
    """
    anonymous = Actor(None, "anonymous", address, request_id)
    try:
        with span("identify"):
            return _identify(bearer, vault_id, path, fetch, anonymous)
    except Unauthenticated as refusal:
        with transaction.atomic():
            details = {"method": "bearer", "reason": refusal.reason}
            resource = Resource("principal", refusal.principal_id)
            record("auth.failure", FAILURE, actor=anonymous, resource=resource, details=details)
        raise


def _identify(
    bearer: str, vault_id: UUID | None, path: str | None, fetch: Fetch, anonymous: Actor
) -> Caller:
    if bearer.startswith(USER_KEY_PREFIX):
        claims = None
        found = find_by_api_key(
            digest=digest_api_key(bearer), vault_id=vault_id, path=path, fetch=fetch
        )
    else:
        claims = read_token(bearer)
        found = find_by_token(
            principal_id=claims.principal_id,
            api_key_id=claims.api_key_id,
            jti=claims.jti,
            vault_id=vault_id,
            path=path,
            fetch=fetch,
        )
    if found is None:
        raise Unauthenticated("unknown_principal")
    row, place = found
    refusal = _refusal(row, claims, timezone.now())
    if refusal is not None:
        raise Unauthenticated(refusal, principal_id=row["pk"])
    if claims is None:
        note_use(key_id=row["key__id"], last_used_at=row["key__last_used_at"])
    vault = None
    if vault_id is not None and row["vault_owner"] is not None:
        vault = VaultAccess(
            vault_id,
            is_owner=row["vault_owner"] == row["pk"],
            rules=parse_rules(row["rules"]) if _may_enter(row, claims, vault_id) else (),
            place=place,
        )
    actor = Actor(row["pk"], row["kind"], anonymous.address, anonymous.request_id)
    return Caller(id=row["pk"], kind=row["kind"], actor=actor, claims=claims, vault=vault)


def authorize(*, caller: Caller, vault_id: UUID, path: str, permission: Permission) -> Decision:
    """Judge the caller on a valid path. Raises NotFound for the vault, Forbidden with an audit event."""
    vault = vault_of(caller, vault_id)
    decision = decide(
        is_owner=vault.is_owner,
        rules=vault.rules,
        path=path,
        permission=permission,
        address=caller.actor.address,
        now=timezone.now(),
    )
    if not decision.allowed:
        details = {
            "path": path,
            "permission": permission.value,
            "reason": decision.reason.value,
            "policies": [str(policy_id) for policy_id in decision.policy_ids],
        }
        deny(caller, f"secret.{permission.value}", Resource("secret", None, vault_id), details)
    return decision


def may(*, caller: Caller, vault_id: UUID, path: str, permission: Permission) -> bool:
    """Whether the caller has a permission besides the one it came for. Leaves no event."""
    vault = vault_of(caller, vault_id)
    return decide(
        is_owner=vault.is_owner,
        rules=vault.rules,
        path=path,
        permission=permission,
        address=caller.actor.address,
        now=timezone.now(),
    ).allowed


def authorize_member(*, caller: Caller, vault_id: UUID) -> None:
    """Let pass the vault's owner and whoever a policy allows something in it.

    Raises NotFound, Forbidden with an audit event.
    """
    vault = vault_of(caller, vault_id)
    now = timezone.now()
    if vault.is_owner or any(
        rule.effect == Effect.ALLOW and (rule.expires_at is None or rule.expires_at > now)
        for rule in vault.rules
    ):
        return
    deny(caller, "vault.read", Resource("vault", vault_id, vault_id), {"reason": "not_a_member"})


def require_owner(*, caller: Caller, vault_id: UUID, action: str, path: str | None = None) -> None:
    """Let pass the vault's owner only. Raises NotFound, Forbidden with an audit event."""
    if vault_of(caller, vault_id).is_owner:
        return
    details = {"reason": "not_the_owner"} | ({} if path is None else {"path": path})
    kind = "vault" if path is None else "secret"
    resource = Resource(kind, vault_id if path is None else None, vault_id)
    deny(caller, action, resource, details)


def vault_of(caller: Caller, vault_id: UUID) -> VaultAccess:
    """What the caller has in the vault of this request. Raises NotFound."""
    if caller.vault is None or caller.vault.id != vault_id:
        raise NotFound("There is no such vault.")
    return caller.vault


def deny(caller: Caller, action: str, resource: Resource, details: dict[str, Any]) -> NoReturn:
    """Record a denial in a transaction of its own. Raises Forbidden."""
    with transaction.atomic():
        record(action, DENIED, actor=caller.actor, resource=resource, details=details)
    raise Forbidden


def _refusal(row: dict[str, Any], claims: Claims | None, now: datetime) -> str | None:
    """Why a well-formed credential of a known principal is refused; None when it holds."""
    if not row["is_active"] or row["user_is_active"] is False:
        return "inactive"
    if row["expires_at"] is not None and row["expires_at"] <= now:
        return "expired_principal"
    if claims is not None:
        if row["revoked"] or row["token_generation"] != claims.generation:
            return "revoked_token"
        if claims.api_key_id is None:
            return None
    if row["key__id"] is None or row["key__revoked_at"] is not None:
        return "revoked_key"
    if row["key__expires_at"] is not None and row["key__expires_at"] <= now:
        return "expired_key"
    return None


def _may_enter(row: dict[str, Any], claims: Claims | None, vault_id: UUID) -> bool:
    """Whether agent and token are restricted to other vaults. An empty list restricts nothing."""
    for allowed in (row["agent_vault_ids"], claims.vault_ids if claims else None):
        if allowed and str(vault_id) not in allowed:
            return False
    return True

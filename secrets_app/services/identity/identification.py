"""Tell who is calling, from a token or a personal API key, in one database query.

The query brings the state of the principal and its credential, the vault with the policies that
concern the caller, and what lies at the path that is to be read or written. Nothing of it is
cached: what was revoked is refused on the next request."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from secrets_app.errors import Unauthenticated
from secrets_app.models import Principal
from secrets_app.models.request_state import Fetch, Found, find_by_api_key, find_by_token
from secrets_app.models.rules import parse_rules
from secrets_app.services.audit import Resource
from secrets_app.services.audit.failures import record_failure
from secrets_app.services.caller import Actor, Caller, Claims, Named, VaultAccess, is_within
from secrets_app.services.identity.api_keys import USER_KEY_PREFIX, digest_api_key, note_use
from secrets_app.services.identity.tokens import read_token
from secrets_app.tracing import span


def identify(
    *,
    bearer: str,
    vault_id: UUID | None = None,
    vault_name: str | None = None,
    address: str | None,
    request_id: UUID,
    path: str | None = None,
    fetch: Fetch = Fetch.NOTHING,
    door: str | None = None,
) -> Caller:
    """Tell who holds this token or personal API key, and what it may do in the vault of an id.

    With `vault_name` instead it is the first vault of that name that the holder sees, its own before
    others'; `Caller.vault.named` tells what `services.secrets.mounts` has to know to judge that.

    With `path`, a valid one, what `fetch` names there comes along in the same query. Nobody has been
    judged by then: it is sealed, and stays within the services. `door` is named in the caller's events.
    Raises Unauthenticated, the same for every reason, with an audit event, and TooManyRequests where an
    address has failed too often.
    """
    anonymous = Actor(None, "anonymous", address, request_id, door)
    try:
        with span("identify"):
            return _identify(bearer, vault_id or vault_name, path, fetch, anonymous)
    except Unauthenticated as refusal:
        details = {"method": "bearer", "reason": refusal.reason}
        resource = Resource("principal", refusal.principal_id)
        record_failure("auth.failure", actor=anonymous, resource=resource, details=details)
        raise


def _identify(
    bearer: str, wanted: UUID | str | None, path: str | None, fetch: Fetch, anonymous: Actor
) -> Caller:
    if bearer.startswith(USER_KEY_PREFIX):
        claims = None
        digest = digest_api_key(bearer)
        found = find_by_api_key(digest=digest, vault=wanted, path=path, fetch=fetch)
    else:
        claims = read_token(bearer)
        found = find_by_token(
            principal_id=claims.principal_id,
            api_key_id=claims.api_key_id,
            jti=claims.jti,
            parent=claims.parent,
            session=None if claims.session is None else str(claims.session),
            vault=wanted,
            path=path,
            fetch=fetch,
        )
    if found is None:
        raise Unauthenticated("unknown_principal")
    row = found.row
    refusal = _refusal(row, claims, timezone.now())
    if refusal is not None:
        raise Unauthenticated(refusal, principal_id=row["pk"])
    if claims is None:
        note_use(key_id=row["key__id"], last_used_at=row["key__last_used_at"])
    restrictions = _restrictions(row, claims)
    vault = None if found.vault is None else _access(found, found.vault, restrictions)
    actor = Actor(row["pk"], row["kind"], anonymous.address, anonymous.request_id, anonymous.door)
    return Caller(
        id=row["pk"],
        kind=row["kind"],
        actor=actor,
        claims=claims,
        vault=vault,
        api_key_id=row["key__id"],
        restrictions=restrictions,
    )


def _access(
    found: Found, vault: dict[str, Any], restrictions: tuple[Sequence[str], ...]
) -> VaultAccess:
    may_enter = is_within(restrictions, vault["pk"])
    return VaultAccess(
        vault["pk"],
        is_owner=may_enter and vault["owner_id"] == found.row["pk"],
        rules=parse_rules(found.row["rules"]) if may_enter else (),
        path_state=found.path_state,
        is_consistent=vault["consistent"],
        named=Named(vault["is_own"], vault["namesakes"]) if "is_own" in vault else None,
    )


def _refusal(row: dict[str, Any], claims: Claims | None, now: datetime) -> str | None:
    """Why a well-formed credential of a known principal is refused; None when it holds."""
    is_agent = row["kind"] == Principal.Kind.AGENT
    # The user of an agent is its owner's.
    if not row["is_active"] or (not is_agent and row["user_is_active"] is not True):
        return "inactive"
    if row["expires_at"] is not None and row["expires_at"] <= now:
        return "expired_principal"
    if is_agent and not _owner_works(row, now):
        return "inactive_owner"
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


def _owner_works(row: dict[str, Any], now: datetime) -> bool:
    """Whether the person an agent belongs to may still sign in. An agent that belongs to nobody has no such
    person."""
    expires_at = row["owner_expires_at"]
    return (
        row["owner_is_active"] is True
        and row["user_is_active"] is True
        and (expires_at is None or expires_at > now)
    )


def _restrictions(row: dict[str, Any], claims: Claims | None) -> tuple[Sequence[str], ...]:
    """The vaults that agent and token are restricted to. An empty list restricts nothing."""
    both = (row["agent_vault_ids"], claims.vault_ids if claims else None)
    return tuple(allowed for allowed in both if allowed)

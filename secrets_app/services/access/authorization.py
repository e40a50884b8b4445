"""Decide whether a caller may do what it asks for, and record denials.

The caller brought the policies along (`identity.identification`), so no decision asks the database.
"""

from typing import Any, NoReturn
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from secrets_app.errors import Forbidden, InconsistentVault, NotFound
from secrets_app.policy.decision import Decision, Effect, Permission, decide
from secrets_app.policy.scope import Scope, scope_of
from secrets_app.services.audit import DENIED, FAILURE, Resource, record
from secrets_app.services.caller import Caller, VaultAccess


def authorize(*, caller: Caller, vault_id: UUID, path: str, permission: Permission) -> Decision:
    """Judge the caller on a valid path. Raises NotFound for the vault, Forbidden with an audit event."""
    decision = _decide(caller, vault_id, path, permission)
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
    """Tell whether the caller has a permission besides the one it came for. Leaves no event."""
    return _decide(caller, vault_id, path, permission).allowed


def _decide(caller: Caller, vault_id: UUID, path: str, permission: Permission) -> Decision:
    vault = vault_of(caller, vault_id)
    return decide(
        is_owner=vault.is_owner,
        rules=vault.rules,
        path=path,
        permission=permission,
        address=caller.actor.address,
        now=timezone.now(),
    )


def scope_for(*, caller: Caller, vault_id: UUID, permission: Permission) -> Scope:
    """Return what the caller may do with many paths of a vault, at this moment. Raises NotFound."""
    vault = vault_of(caller, vault_id)
    return scope_of(
        is_owner=vault.is_owner,
        rules=vault.rules,
        permission=permission,
        address=caller.actor.address,
        now=timezone.now(),
    )


def authorize_member(*, caller: Caller, vault_id: UUID) -> None:
    """Let pass the vault's owner and whoever a policy allows something in it.

    Raises NotFound, Forbidden with an audit event.
    """
    if not is_member(caller=caller, vault_id=vault_id):
        resource = Resource("vault", vault_id, vault_id)
        deny(caller, "vault.read", resource, {"reason": "not_a_member"})


def is_member(*, caller: Caller, vault_id: UUID) -> bool:
    """Tell whether the caller owns a vault or may do something in it. Leaves no event. Raises NotFound."""
    vault = vault_of(caller, vault_id)
    now = timezone.now()
    return vault.is_owner or any(
        rule.effect == Effect.ALLOW and (rule.expires_at is None or rule.expires_at > now)
        for rule in vault.rules
    )


def require_owner(*, caller: Caller, vault_id: UUID, action: str, path: str | None = None) -> None:
    """Let pass the vault's owner only. Raises NotFound, Forbidden with an audit event."""
    if vault_of(caller, vault_id).is_owner:
        return
    details = {"reason": "not_the_owner"} | ({} if path is None else {"path": path})
    kind = "vault" if path is None else "secret"
    resource = Resource(kind, vault_id if path is None else None, vault_id)
    deny(caller, action, resource, details)


def vault_of(caller: Caller, vault_id: UUID) -> VaultAccess:
    """Return what the caller has in the vault of this request.

    Raises NotFound, and InconsistentVault with an audit event.
    """
    if caller.vault is None or caller.vault.id != vault_id:
        raise NotFound("There is no such vault.")
    if not caller.vault.is_consistent:
        with transaction.atomic():
            record(
                "vault.refuse",
                FAILURE,
                actor=caller.actor,
                resource=Resource("vault", vault_id, vault_id),
                details={"reason": InconsistentVault.__name__},
            )
        raise InconsistentVault
    return caller.vault


def deny(caller: Caller, action: str, resource: Resource, details: dict[str, Any]) -> NoReturn:
    """Record a denial in a transaction of its own. Raises Forbidden."""
    with transaction.atomic():
        record(action, DENIED, actor=caller.actor, resource=resource, details=details)
    raise Forbidden

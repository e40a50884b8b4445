"""Policies of a vault: made, listed, changed and deleted by its owner."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet

from secrets_app.errors import Conflict, InvalidInput, NotFound
from secrets_app.models import Policy, Principal
from secrets_app.models.rules import groups_of
from secrets_app.policy.conditions import parse_conditions
from secrets_app.policy.decision import GRANTABLE, Effect
from secrets_app.policy.pattern import parse_pattern
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Caller
from secrets_app.services.transactions.idempotency import IdempotencyClaim

PRINCIPAL_TYPES = ("user", "agent", "group")
# For one principal or group in one vault: a request pays for all policies of its caller.
MOST_POLICIES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPolicy:
    """`principal_id` is a principal's id, or the name of a group."""

    secret_path_pattern: str
    principal_type: str
    principal_id: str
    permissions: list[str]
    effect: str = Effect.ALLOW
    conditions: dict[str, Any] | None = None
    expires_at: datetime | None = None


def create_policy(
    *, caller: Caller, vault_id: UUID, new: NewPolicy, once: IdempotencyClaim | None = None
) -> Policy:
    """Add a policy; the caller owns the vault. It holds from the next request on.

    A group has to be one of the caller's own, unless it may see all (Django's `auth.view_group`): to
    anybody else a group that is not there and one of others are the same. Ids of principals are random,
    so whoever knows one was given it.

    Raises InvalidInput (with InvalidPattern and InvalidConditions) that names the field, and Conflict where
    there are MOST_POLICIES for the same principal or group. Concurrent requests may pass that by as many as
    they are: it bounds what a request costs, and no lock is worth that.
    """
    policy = Policy(
        vault_id=vault_id,
        pattern=parse_pattern(new.secret_path_pattern),
        permissions=_parse_permissions(new.permissions),
        effect=_parse_effect(new.effect),
        conditions=_parse_conditions(new.conditions),
        expires_at=new.expires_at,
        created_by_id=caller.id,
        **_grantee(caller, new.principal_type, new.principal_id),
    )
    with transaction.atomic():
        _require_room(policy)
        policy.save(force_insert=True)
        _record("policy.create", caller, policy)
        if once is not None:
            once.complete(policy)
    return policy


def list_policies(*, vault_id: UUID) -> QuerySet[Policy]:
    """List a vault's policies, oldest first."""
    return _policies(vault_id).order_by("created_at", "id")


def update_policy(
    *, caller: Caller, vault_id: UUID, policy_id: UUID, changes: dict[str, Any]
) -> Policy:
    """Change permissions, effect, conditions or expiry; what is not named stays as it is.

    Raises NotFound, InvalidInput.
    """
    parsers: dict[str, Callable[[Any], Any]] = {
        "permissions": _parse_permissions,
        "effect": _parse_effect,
        "conditions": _parse_conditions,
        "expires_at": lambda expires_at: expires_at,
    }
    parsed = {name: parsers[name](value) for name, value in changes.items()}
    with transaction.atomic():
        policy = _locked(vault_id, policy_id)
        for name, value in parsed.items():
            setattr(policy, name, value)
        policy.save()
        _record("policy.update", caller, policy)
    return policy


def delete_policy(*, caller: Caller, vault_id: UUID, policy_id: UUID) -> None:
    """Take a policy away, from the next request on. Raises NotFound."""
    with transaction.atomic():
        policy = _locked(vault_id, policy_id)
        _record("policy.delete", caller, policy)
        policy.delete()


def _require_room(policy: Policy) -> None:
    whose: dict[str, Any] = {"principal_id": policy.principal_id, "group_id": policy.group_id}
    there = Policy.objects.filter(vault_id=policy.vault_id, **whose)
    if there[:MOST_POLICIES].count() >= MOST_POLICIES:
        raise Conflict(
            f"This principal or group has {MOST_POLICIES} policies in this vault, the most there may be."
            " Delete some that are not needed, or expired, or put one pattern with `*` or `**` in the"
            " place of many."
        )


def _policies(vault_id: UUID) -> QuerySet[Policy]:
    return Policy.objects.select_related("principal", "group", "created_by").filter(
        vault_id=vault_id
    )


def _locked(vault_id: UUID, policy_id: UUID) -> Policy:
    policy = _policies(vault_id).select_for_update(of=("self",)).filter(pk=policy_id).first()
    if policy is None:
        raise NotFound("There is no such policy.")
    return policy


def _grantee(caller: Caller, principal_type: str, principal_id: str) -> dict[str, Any]:
    """The column for a principal or a group. Raises InvalidInput when there is none."""
    if principal_type not in PRINCIPAL_TYPES:
        raise InvalidInput({"principal_type": [f"Known are: {', '.join(PRINCIPAL_TYPES)}."]})
    if principal_type == "group":
        group = _groups_named_by(caller).filter(name=principal_id).first()
        if group is not None:
            return {"group": group}
        raise InvalidInput({"principal_id": ["You are in no such group."]})
    try:
        known = Principal.objects.filter(pk=UUID(principal_id), kind=principal_type).first()
    except ValueError:
        known = None
    if known is not None:
        return {"principal": known}
    raise InvalidInput({"principal_id": [f"There is no such {principal_type}."]})


def _groups_named_by(caller: Caller) -> QuerySet[Group]:
    """The groups a person may write policies for."""
    user: Any = get_user_model()._default_manager.get(principal=caller.id)
    return Group.objects.all() if user.has_perm("auth.view_group") else groups_of(user.pk)


def _parse_permissions(raw: object) -> list[str]:
    if not isinstance(raw, list) or not raw or not all(isinstance(each, str) for each in raw):
        raise InvalidInput({"permissions": ["This is a list of one or more permissions."]})
    if any(each not in GRANTABLE for each in raw):
        known = f"Unknown permission. Known are: {', '.join(GRANTABLE)}."
        raise InvalidInput({"permissions": [known]})
    return sorted(set(raw))


def _parse_effect(raw: object) -> str:
    if raw not in tuple(Effect):
        raise InvalidInput({"effect": [f"Known are: {', '.join(Effect)}."]})
    return str(raw)


def _parse_conditions(raw: dict[str, Any] | None) -> dict[str, Any] | None:
    if raw is not None:
        parse_conditions(raw)
    return raw


def _record(action: str, caller: Caller, policy: Policy) -> None:
    details = {
        "pattern": policy.pattern,
        "permissions": policy.permissions,
        "effect": policy.effect,
        "principal": str(policy.principal or policy.group_id),
    }
    resource = Resource("policy", policy.id, policy.vault_id)
    record(action, SUCCESS, actor=caller.actor, resource=resource, details=details)

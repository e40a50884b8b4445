"""Decide who may do what: a pure function of owner, policies, path, permission, address and time.

The default is to deny. A vault's owner may do everything in it. Anybody else needs an allow, and an
explicit deny beats every allow. A policy that cannot be understood or judged counts against the caller:
an allow does not apply then, a deny does.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from secrets_app.errors import InvalidConditions
from secrets_app.policy.conditions import parse_conditions
from secrets_app.policy.pattern import patterns_of


class Permission(StrEnum):
    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    ROTATE = "rotate"
    LIST = "list"


# What a policy may contain, and the permissions that each stands for.
GRANTABLE: dict[str, frozenset[Permission]] = {
    "read": frozenset({Permission.READ, Permission.LIST}),
    "write": frozenset({Permission.WRITE, Permission.DELETE, Permission.ROTATE}),
    "delete": frozenset({Permission.DELETE}),
    "rotate": frozenset({Permission.ROTATE}),
}


class Effect(StrEnum):
    ALLOW = "allow"
    DENY = "deny"


class Reason(StrEnum):
    OWNER = "owner"
    ALLOWED = "allowed_by_policy"
    DENIED = "denied_by_policy"
    NO_MATCH = "no_policy_matches"


@dataclass(frozen=True, slots=True)
class Rule:
    """The part of a policy's row that a decision needs. `permissions` and `conditions` are parsed JSON."""

    policy_id: UUID
    pattern: str
    permissions: object
    effect: str
    conditions: object
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome, the reason, and the deciding policies (empty for the owner and if none matched)."""

    allowed: bool
    reason: Reason
    policy_ids: tuple[UUID, ...] = ()


def decide(
    *,
    is_owner: bool,
    rules: Iterable[Rule],
    path: str,
    permission: Permission,
    address: str | None,
    now: datetime,
) -> Decision:
    """Judge a request. `path` is a valid path, `address` the client's IP, `now` timezone-aware."""
    if is_owner:
        return Decision(True, Reason.OWNER)
    allows: list[UUID] = []
    denies: list[UUID] = []
    given = tuple(rules)
    for number in patterns_of(tuple([rule.pattern for rule in given])).which(path):
        rule = given[number]
        if holds(rule, permission=permission, address=address, now=now):
            (allows if rule.effect == Effect.ALLOW else denies).append(rule.policy_id)
    if denies:
        return Decision(False, Reason.DENIED, tuple(denies))
    if allows:
        return Decision(True, Reason.ALLOWED, tuple(allows))
    return Decision(False, Reason.NO_MATCH)


def holds(rule: Rule, *, permission: Permission, address: str | None, now: datetime) -> bool:
    """Tell whether a rule applies to a request, apart from its path."""
    if rule.expires_at is not None and rule.expires_at <= now:
        return False
    if not isinstance(rule.permissions, (list, tuple)) or not all(
        isinstance(granted, str) for granted in rule.permissions
    ):
        return rule.effect != Effect.ALLOW
    if not any(permission in GRANTABLE.get(granted, ()) for granted in rule.permissions):
        return False
    if rule.conditions is None:
        return True
    try:
        held = parse_conditions(rule.conditions).hold(address=address, now=now)
    except InvalidConditions:
        held = None
    return held if held is not None else rule.effect != Effect.ALLOW

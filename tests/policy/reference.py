"""A slow matcher and a slow decision, written from the contract's words and nothing else."""

from secrets_app.policy.decision import Rule


def slow_match(pattern: list[str], path: list[str]) -> bool:
    """`*` is exactly one segment, `**` any number of them; nothing else is special."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(slow_match(pattern[1:], path[skip:]) for skip in range(len(path) + 1))
    return bool(path) and pattern[0] in ("*", path[0]) and slow_match(pattern[1:], path[1:])


INCLUDES = {
    "read": ["read", "list"],
    "write": ["write", "delete", "rotate"],
    "delete": ["delete"],
    "rotate": ["rotate"],
}


def slow_decision(rules: list[Rule], path: str, permission: str, is_owner: bool) -> bool:
    """Unconditional rules only: owner, then deny, then allow, then no."""
    if is_owner:
        return True
    matching = [
        rule
        for rule in rules
        if slow_match(rule.pattern.split("/"), path.split("/"))
        and any(permission in INCLUDES[granted] for granted in rule.permissions)
    ]
    if any(rule.effect == "deny" for rule in matching):
        return False
    return any(rule.effect == "allow" for rule in matching)

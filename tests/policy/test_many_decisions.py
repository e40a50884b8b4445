"""Decisions against a brute-force reference, over 100,000 seeded cases with conditions, expiry, deny
and the policies of groups among them (a group's policies come along as rules like any other)."""

import random
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from secrets_app.policy.decision import Permission, Rule, decide
from secrets_app.policy.scope import scope_of
from tests.policy.reference import INCLUDES, slow_match

CASES = 100_000
START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ADDRESSES = ["192.0.2.7", "198.51.100.4", "2001:db8::9", None]
NETWORKS = ["192.0.2.0/24", "198.51.100.0/25", "2001:db8::/32", "0.0.0.0/0"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]


def conditions(draw):
    kind = draw.random()
    if kind < 0.5:
        return None
    found = {}
    if draw.random() < 0.6:
        found["ip_allowlist"] = draw.sample(NETWORKS, draw.randint(1, 2))
    if draw.random() < 0.6:
        start, end = draw.sample(range(24), 2)
        window = {"timezone": draw.choice(ZONES)}
        if draw.random() < 0.5:
            window |= {"after": f"{start:02}:30", "before": f"{end:02}:00"}
        else:
            window |= {"start_hour": start, "end_hour": end}
            if draw.random() < 0.7:
                window["days_of_week"] = draw.sample(range(7), draw.randint(1, 6))
        found["time_window"] = window
    return found if kind < 0.95 else {"unknown": True}


def rule(draw, number):
    return Rule(
        policy_id=UUID(int=number),
        pattern="/".join(draw.choice(["a", "b", "*", "**"]) for _ in range(draw.randint(1, 4))),
        permissions=draw.sample(["read", "write", "delete", "rotate"], draw.randint(1, 3)),
        effect=draw.choice(["allow", "allow", "deny"]),
        conditions=conditions(draw),
        expires_at=draw.choice([None, None, START + timedelta(hours=draw.randint(-48, 48))]),
    )


def holds(raw, address, now):
    """By minutes: is this minute one of the window's, of a day the window began on?"""
    if raw is None:
        return True
    if "unknown" in raw:
        return None
    window = raw.get("time_window")
    if window is not None:
        local = now.astimezone(ZoneInfo(window["timezone"]))
        if "after" in window:
            start, end = (
                int(window[name][:2]) * 60 + int(window[name][3:]) for name in ("after", "before")
            )
        else:
            start, end = window["start_hour"] * 60, window["end_hour"] * 60
        length = (end - start) % 1440
        since_start = (local.hour * 60 + local.minute - start) % 1440
        if since_start >= length:
            return False
        began = (local.replace(tzinfo=None) - timedelta(minutes=since_start)).date()
        days = window.get("days_of_week", range(7))
        if (began.weekday() + 1) % 7 not in days:
            return False
    if "ip_allowlist" in raw:
        if address is None:
            return None
        return any(ip_address(address) in ip_network(each) for each in raw["ip_allowlist"])
    return True


def brute_force(rules, path, permission, is_owner, address, now):
    if is_owner:
        return True
    effects = set()
    for each in rules:
        if each.expires_at is not None and now >= each.expires_at:
            continue
        if not any(permission in INCLUDES[granted] for granted in each.permissions):
            continue
        if not slow_match(each.pattern.split("/"), path.split("/")):
            continue
        held = holds(each.conditions, address, now)
        if held or (held is None and each.effect == "deny"):
            effects.add(each.effect)
    return effects == {"allow"}


@pytest.mark.no_cover  # measuring coverage would take most of the time
def test_a_hundred_thousand_decisions_agree_with_brute_force():
    draw = random.Random(20261123)
    outcomes = {True: 0, False: 0}
    cases = 0
    while cases < CASES:
        own = [rule(draw, n) for n in range(draw.randint(0, 4))]
        of_groups = [rule(draw, 100 + n) for n in range(draw.randint(0, 3))]
        rules = own + of_groups
        for _ in range(20):
            cases += 1
            path = "/".join(draw.choice("ab") for _ in range(draw.randint(1, 4)))
            permission = draw.choice(list(Permission))
            address = draw.choice(ADDRESSES)
            now = START + timedelta(minutes=draw.randint(-10_000, 10_000))
            is_owner = draw.random() < 0.02
            asked = {"permission": permission, "address": address, "now": now}
            expected = brute_force(rules, path, permission, is_owner, address, now)
            decision = decide(is_owner=is_owner, rules=rules, path=path, **asked)
            assert decision.allowed is expected, (rules, path, asked)
            scope = scope_of(is_owner=is_owner, rules=rules, **asked)
            assert scope.covers(path) is expected
            outcomes[expected] += 1
    # Neither answer is a rare one, or the comparison would show little.
    assert min(outcomes.values()) > CASES / 10

"""What mutation testing found untested (docs/mutation.md)."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from secrets_app.errors import InvalidConditions
from secrets_app.policy.conditions import parse_conditions
from secrets_app.policy.decision import Permission, Rule, holds
from secrets_app.policy.scope import PathRange, scope_of

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ASK = {"permission": Permission.READ, "address": None, "now": NOW}


def refusal(conditions):
    with pytest.raises(InvalidConditions) as caught:
        parse_conditions(conditions)
    return str(caught.value.errors)


def rule(pattern="**", permissions=("read",), effect="allow"):
    return Rule(uuid4(), pattern, permissions, effect, None, None)


@pytest.mark.parametrize("permissions", ["read", None, 5, {"read": True}, [5], ["read", None]])
def test_permissions_that_make_no_sense_count_against_the_caller(permissions):
    assert holds(rule(permissions=permissions, effect="allow"), **ASK) is False
    assert holds(rule(permissions=permissions, effect="deny"), **ASK) is True


def test_a_range_before_the_prefix_does_not_end_the_search():
    scope = scope_of(is_owner=False, rules=[rule("a/x"), rule("m/**"), rule("z/y")], **ASK)
    assert scope.ranges("m/") == [PathRange("m/", "m/\x7f")]
    assert scope.ranges("z/") == [PathRange("z/y", "z/y\x01")]


def test_a_list_of_networks_is_bounded():
    networks = [f"10.0.{n}.0/24" for n in range(256)]
    assert parse_conditions({"ip_allowlist": networks}).networks is not None
    with pytest.raises(InvalidConditions):
        parse_conditions({"ip_allowlist": [*networks, "192.0.2.0/24"]})


@pytest.mark.parametrize("zone", [5, None, "", ["UTC"], b"UTC", "../UTC", "nowhere/at-all"])
def test_a_time_zone_is_a_name(zone):
    window = {"after": "08:00", "before": "20:00", "timezone": zone}
    assert "timezone" in refusal({"time_window": window})


def test_a_day_begins_at_23_at_the_latest():
    assert "start_hour" in refusal({"time_window": {"start_hour": 24, "end_hour": 3}})


def test_messages_name_what_is_wrong():
    with pytest.raises(InvalidConditions) as caught:
        parse_conditions({f"unknown{n:02}" + "x" * 100: 1 for n in range(30)})
    messages = [text for texts in caught.value.errors.values() for text in texts]
    assert len(messages) == 20
    assert "'unknown00" in messages[0]
    assert all(len(text) < 100 for text in messages)

from datetime import UTC, datetime

import pytest

from secrets_app.errors import InvalidConditions
from secrets_app.policy.conditions import parse_conditions

MONDAY_NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def hold(raw, *, address="192.0.2.7", now=MONDAY_NOON):
    return parse_conditions(raw).hold(address=address, now=now)


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("networks", "address", "expected"),
    [
        (["192.0.2.0/24"], "192.0.2.7", True),
        (["192.0.2.0/24"], "192.0.3.7", False),
        (["192.0.2.7"], "192.0.2.7", True),
        (["198.51.100.0/24", "192.0.2.0/24"], "192.0.2.7", True),
        (["2001:db8::/32"], "2001:db8::1", True),
        (["2001:db8::/32"], "192.0.2.7", False),
        (["192.0.2.0/24"], "::ffff:192.0.2.7", True),
        (["0.0.0.0/0"], "2001:db8::1", False),
        # IPv4-mapped networks are the IPv4 networks in them.
        (["::ffff:127.0.0.0/104"], "127.0.0.1", True),
        (["::ffff:127.0.0.0/104"], "::ffff:127.0.0.1", True),
        (["::ffff:127.0.0.0/104"], "128.0.0.1", False),
        (["::ffff:192.0.2.7"], "192.0.2.7", True),
        (["::FFFF:c000:0200/120"], "192.0.2.7", True),
        (["::ffff:0:0/96"], "192.0.2.7", True),
        (["::ffff:0:0/96"], "2001:db8::1", False),
        # Networks with more in them stay what they are: IPv6.
        (["::/0"], "192.0.2.7", False),
        (["::/0"], "2001:db8::1", True),
        (["::/80"], "::ffff:192.0.2.7", False),
        (["2002:c000:207::/48"], "192.0.2.7", False),
        (["64:ff9b::/96"], "192.0.2.7", False),
        (["192.0.2.0/24"], None, None),
        (["192.0.2.0/24"], "not an address", None),
    ],
)
def test_an_address_is_compared_with_the_networks(networks, address, expected):
    assert hold({"ip_allowlist": networks}, address=address) is expected


@pytest.mark.parametrize(
    ("window", "now", "expected"),
    [
        ({"after": "08:00", "before": "20:00"}, "2026-11-23T08:00", True),
        ({"after": "08:00", "before": "20:00"}, "2026-11-23T19:59:59", True),
        ({"after": "08:00", "before": "20:00"}, "2026-11-23T20:00", False),
        ({"after": "08:00", "before": "20:00"}, "2026-11-23T07:59:59", False),
        ({"after": "22:00", "before": "06:00"}, "2026-11-23T23:00", True),
        ({"after": "22:00", "before": "06:00"}, "2026-11-23T05:59", True),
        ({"after": "22:00", "before": "06:00"}, "2026-11-23T06:00", False),
        # 08:00 in Berlin is 07:00 UTC in winter and 06:00 UTC in summer.
        (
            {"after": "08:00", "before": "09:00", "timezone": "Europe/Berlin"},
            "2026-11-23T07:30",
            True,
        ),
        (
            {"after": "08:00", "before": "09:00", "timezone": "Europe/Berlin"},
            "2026-07-20T06:30",
            True,
        ),
        ({"start_hour": 9, "end_hour": 17, "days_of_week": [1]}, "2026-11-23T09:00", True),
        ({"start_hour": 9, "end_hour": 17, "days_of_week": [0]}, "2026-11-23T09:00", False),
        ({"start_hour": 9, "end_hour": 17, "days_of_week": [0]}, "2026-11-22T09:00", True),
        ({"start_hour": 0, "end_hour": 24}, "2026-11-22T23:59", True),
        # Passing midnight, the window belongs to the day it began on: Sunday night into Monday.
        ({"start_hour": 22, "end_hour": 6, "days_of_week": [0]}, "2026-11-23T03:00", True),
        ({"start_hour": 22, "end_hour": 6, "days_of_week": [0]}, "2026-11-22T03:00", False),
        ({"start_hour": 22, "end_hour": 6, "days_of_week": [6]}, "2026-11-22T03:00", True),
    ],
)
def test_a_time_window_is_judged_in_its_time_zone(window, now, expected):
    assert hold({"time_window": window}, now=at(now)) is expected


def test_all_conditions_must_hold():
    window = {"after": "08:00", "before": "20:00"}
    both = {"ip_allowlist": ["192.0.2.0/24"], "time_window": window}
    assert hold(both) is True
    assert hold(both, address="198.51.100.1") is False
    assert hold(both, now=at("2026-11-23T21:00")) is False


def test_no_conditions_always_hold():
    assert hold({}) is True


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        "x",
        {"ip_allow_list": []},
        {"ip_allowlist": []},
        {"ip_allowlist": "192.0.2.0/24"},
        {"ip_allowlist": [1]},
        {"ip_allowlist": ["192.0.2.1/24"]},
        {"ip_allowlist": ["192.0.2.0/33"]},
        {"ip_allowlist": ["192.0.2.0/24"] * 257},
        {"time_window": None},
        {"time_window": {}},
        {"time_window": {"after": "08:00"}},
        {"time_window": {"after": "8:00", "before": "20:00"}},
        {"time_window": {"after": "08:00", "before": "24:00"}},
        {"time_window": {"after": "08+01", "before": "20:00"}},
        {"time_window": {"after": "0800Z", "before": "20:00"}},
        {"time_window": {"after": "T0800", "before": "20:00"}},
        {"time_window": {"after": "08:00", "before": "08:00"}},
        {"time_window": {"after": 8, "before": 20}},
        {"time_window": {"after": "08:00", "before": "20:00", "timezone": "Mars/Olympus"}},
        {"time_window": {"after": "08:00", "before": "20:00", "timezone": "../etc/passwd"}},
        {"time_window": {"after": "08:00", "before": "20:00", "timezone": ""}},
        {"time_window": {"after": "08:00", "before": "20:00", "timezone": None}},
        {"time_window": {"after": "08:00", "before": "20:00", "days_of_week": [1]}},
        {"time_window": {"start_hour": 9, "end_hour": 25}},
        {"time_window": {"start_hour": -1, "end_hour": 5}},
        {"time_window": {"start_hour": True, "end_hour": 5}},
        {"time_window": {"start_hour": 9.0, "end_hour": 17}},
        {"time_window": {"start_hour": 9, "end_hour": 17, "days_of_week": []}},
        {"time_window": {"start_hour": 9, "end_hour": 17, "days_of_week": [7]}},
        {"time_window": {"start_hour": 9, "end_hour": 17, "days_of_week": [True]}},
        {"time_window": {"start_hour": 9, "end_hour": 17, "after": "08:00"}},
    ],
)
def test_what_cannot_be_judged_is_refused_with_a_message(raw):
    with pytest.raises(InvalidConditions) as caught:
        parse_conditions(raw)
    assert caught.value.errors["conditions"]

"""Conditions of a policy (wire contract, part B): where a request comes from, and when.

All conditions must hold. A stored condition that cannot be understood, or an address that is not
known, counts against the caller: see `decision.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from secrets_app.errors import InvalidConditions
from secrets_app.networks import Network, parse_address, parse_network

_MAX_NETWORKS = 256
_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
_ALL_DAYS = frozenset(range(7))


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """From `start` (inclusive) to `end` (exclusive), in minutes of the local day.

    A window whose end lies before its start passes midnight and belongs to the day it began on.
    Days count from Sunday = 0.
    """

    start: int
    end: int
    days: frozenset[int]
    zone: ZoneInfo

    def holds(self, now: datetime) -> bool:
        local = now.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        today = local.isoweekday() % 7
        if self.start < self.end:
            return today in self.days and self.start <= minute < self.end
        if minute >= self.start:
            return today in self.days
        return minute < self.end and (today - 1) % 7 in self.days


@dataclass(frozen=True, slots=True)
class Conditions:
    networks: tuple[Network, ...] | None
    window: TimeWindow | None

    def hold(self, *, address: str | None, now: datetime) -> bool | None:
        """Tell whether they hold: True or False; None when it cannot be told, because the caller's address
        is not known.
        """
        if self.window is not None and not self.window.holds(now):
            return False
        if self.networks is None:
            return True
        try:
            parsed = parse_address(address or "")
        except ValueError:
            return None
        return any(parsed in network for network in self.networks)


def parse_conditions(raw: object) -> Conditions:
    """Validate the JSON form. Raises InvalidConditions with one message for each thing wrong."""
    if not isinstance(raw, Mapping):
        raise InvalidConditions("Conditions are an object.")
    unknown = sorted(str(key)[:64] for key in raw.keys() - {"ip_allowlist", "time_window"})
    if unknown:
        raise InvalidConditions(*(f"Unknown condition: {key!a}." for key in unknown[:20]))
    networks = _parse_networks(raw["ip_allowlist"]) if "ip_allowlist" in raw else None
    window = _parse_window(raw["time_window"]) if "time_window" in raw else None
    return Conditions(networks, window)


def _parse_networks(raw: object) -> tuple[Network, ...]:
    if not isinstance(raw, list) or not 0 < len(raw) <= _MAX_NETWORKS:
        raise InvalidConditions(f"`ip_allowlist` is a list of 1 to {_MAX_NETWORKS} CIDR networks.")
    networks: list[Network] = []
    for position, entry in enumerate(raw):
        try:
            if not isinstance(entry, str):
                raise ValueError
            networks.append(parse_network(entry))
        except ValueError:
            raise InvalidConditions(
                f"`ip_allowlist[{position}]` is not a network in CIDR form without host bits."
            ) from None
    return tuple(networks)


def _parse_window(raw: object) -> TimeWindow:
    if not isinstance(raw, Mapping):
        raise InvalidConditions("`time_window` is an object.")
    keys = set(raw)
    if {"after", "before"} <= keys <= {"after", "before", "timezone"}:
        start, end = _parse_clock(raw, "after"), _parse_clock(raw, "before")
        days = _ALL_DAYS
    elif (
        {"start_hour", "end_hour"} <= keys <= {"start_hour", "end_hour", "days_of_week", "timezone"}
    ):
        start, end = _parse_hour(raw, "start_hour", 23) * 60, _parse_hour(raw, "end_hour", 24) * 60
        days = _parse_days(raw["days_of_week"]) if "days_of_week" in raw else _ALL_DAYS
    else:
        raise InvalidConditions(
            "`time_window` has either `after` and `before`, or `start_hour` and `end_hour` with an"
            " optional `days_of_week`; each with an optional `timezone`."
        )
    if start == end:
        raise InvalidConditions("`time_window` must begin and end at different times of the day.")
    return TimeWindow(start, end, days, _parse_zone(raw.get("timezone", "UTC")))


def _parse_clock(raw: Mapping[str, Any], key: str) -> int:
    value = raw[key]
    if not isinstance(value, str) or _CLOCK.fullmatch(value) is None:
        raise InvalidConditions(f"`time_window.{key}` is a time of day such as 08:00.")
    return int(value[:2]) * 60 + int(value[3:])


def _parse_hour(raw: Mapping[str, Any], key: str, last: int) -> int:
    value = raw[key]
    if type(value) is not int or not 0 <= value <= last:
        raise InvalidConditions(f"`time_window.{key}` is a whole hour from 0 to {last}.")
    return value


def _parse_days(raw: object) -> frozenset[int]:
    if (
        not isinstance(raw, list)
        or not raw
        or any(type(d) is not int or not 0 <= d <= 6 for d in raw)
    ):
        raise InvalidConditions("`time_window.days_of_week` is a list of days, 0 (Sunday) to 6.")
    return frozenset(raw)


def _parse_zone(raw: object) -> ZoneInfo:
    try:
        if not isinstance(raw, str) or not raw:
            raise ValueError
        return ZoneInfo(raw)
    except (ValueError, OSError, LookupError):
        raise InvalidConditions(
            "`time_window.timezone` is a name of the IANA time zone database."
        ) from None

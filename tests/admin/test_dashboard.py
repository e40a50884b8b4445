"""The first page: what it counts, where it leads, and who sees what of it."""

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from secrets_app.models import ApiKey, VaultKey
from secrets_app.services.operations.overview.activity import activity, most_read
from tests.cast import body, secret_url
from vaultsite.accounts.models import User
from vaultsite.console.charts import HEIGHT, WIDTH, bars

INDEX = "/admin/"


@pytest.fixture
def half_past():
    with time_machine.travel(timezone.now().replace(minute=30), tick=False):
        yield


@pytest.fixture
def used(half_past, alice, charlie, vault):
    """Three reads, two writes, a denial and a failed sign-in, in this hour."""
    soon = (timezone.now() + timedelta(days=3)).isoformat()
    alice.api.put(secret_url(vault, "a"), body())
    alice.api.put(secret_url(vault, "b"), body(expires_at=soon))
    for _ in range(3):
        alice.api.get(secret_url(vault, "a"))
    charlie.api.get(secret_url(vault, "a"))
    alice.api.get(secret_url(vault, "nothing"))
    alice.api.post("/v1/auth/token", {"email": "alice@example.com", "password": "wrong"})


def figures(client):
    return {each.label: each for each in client.get(INDEX).context["figures"]}


def charts(client, window="day"):
    return {each.title: each for each in client.get(INDEX, {"window": window}).context["charts"]}


def panels(client):
    return {each.title: each for each in client.get(INDEX).context["panels"]}


@pytest.mark.parametrize("window", ["day", "week", "month", "nonsense"])
def test_charts_count_what_happened_and_lead_to_it(operator, used, window):
    found = charts(operator, window)
    assert {title: chart.total for title, chart in found.items()} == {
        "Reads": 3,
        "Writes": 2,
        "Denials": 1,
    }
    for chart in found.values():
        last = chart.bars[-1]
        for url, total in ((chart.url, chart.total), (last.url, chart.total)):
            page = operator.get(url)
            assert len(page.context["cl"].result_list) == total, url
        assert operator.get(chart.bars[0].url).context["cl"].result_count == 0


def test_hours_that_are_over_are_counted_once(operator, used):
    with time_machine.travel(timezone.now() + timedelta(hours=2), tick=False):
        spans = activity(spans=3, each=timedelta(hours=1))
        assert [span.reads for span in spans] == [3, 0, 0]
        with CaptureQueriesContext(connection) as captured:
            assert activity(spans=3, each=timedelta(hours=1)) == spans
        # Only the hour that is not over: tried, refused and denied, and the sums of failures.
        assert [query["sql"].count("COUNT") for query in captured] == [1, 1, 1, 0]


def test_an_hour_is_not_kept_before_late_events_are_in(operator, used, alice, vault):
    over = timezone.now().replace(minute=0, second=30) + timedelta(hours=1)
    with time_machine.travel(over, tick=False):
        assert activity(spans=2, each=timedelta(hours=1))[0].reads == 3
    alice.api.get(secret_url(vault, "a"))
    with time_machine.travel(over + timedelta(minutes=2), tick=False):
        assert activity(spans=2, each=timedelta(hours=1))[0].reads == 4


def test_figures_lead_to_their_rows(operator, used):
    found = figures(operator)
    assert found["Expire within 7 days"].value == "1"
    assert found["Expire within 7 days"].level == "warn"
    assert found["Expired"].value == "0"
    assert found["Failed sign-ins in 24 hours"].value == "1"
    assert found["Keys older than 90 days"].value == "0"
    for label in ("Expire within 7 days", "Expired", "Failed sign-ins in 24 hours"):
        rows = operator.get(found[label].url).context["cl"].result_list
        assert str(len(rows)) == found[label].value, label


def test_old_keys_are_counted_by_age(operator, alice, vault):
    ApiKey.objects.update(created_at=timezone.now() - timedelta(days=91))
    VaultKey.objects.update(created_at=timezone.now() - timedelta(days=31))
    ages = {each.title: each for each in operator.get(INDEX).context["ages"]}
    assert [count for _, count, _ in ages["Vault keys"].parts] == [0, 1, 0]
    assert [count for _, count, _ in ages["API keys"].parts] == [0, 0, 1]
    assert ages["API keys"].shares == [(0.0, 0.0), (0.0, 0.0), (0.0, 100.0)]
    assert figures(operator)["Keys older than 90 days"].value == "1"
    for each in ages.values():
        for _, count, url in each.parts:
            assert operator.get(url).context["cl"].result_count == count


def test_panels_name_secrets(operator, used):
    found = panels(operator)
    assert [row.text for row in found["Expiring soon"].rows] == ["b"]
    assert [row.text for row in found["Never read"].rows] == ["b"]
    assert [row.text for row in found["Most read in 24 hours"].rows] == ["a"]
    assert "3 reads" in found["Most read in 24 hours"].rows[0].note
    for panel in found.values():
        assert operator.get(panel.url).status_code == 200
        for row in panel.rows:
            assert operator.get(row.url).status_code == 200


def test_the_most_read_are_found_among_the_newest_reads(monkeypatch, alice, vault):
    for path, times in (("old", 3), ("new", 2)):
        alice.api.put(secret_url(vault, path), body())
        for _ in range(times):
            alice.api.get(secret_url(vault, path))
    since = timezone.now() - timedelta(hours=1)
    assert [(s.path, n) for s, n in most_read(since=since, most=5)] == [("old", 3), ("new", 2)]
    monkeypatch.setattr("secrets_app.services.operations.overview.activity.LOOKED_AT", 3)
    assert [(s.path, n) for s, n in most_read(since=since, most=5)] == [("new", 2), ("old", 1)]


def test_seal_lag_alarms(operator, used, settings):
    lag = figures(operator)["Seal lag"]
    assert lag.level == "calm"
    with time_machine.travel(timezone.now() + timedelta(hours=3), tick=False):
        assert figures(operator)["Seal lag"].level == "alarm"
        assert figures(operator)["Seal lag"].value == "3 h"
        settings.SECRETS_APP = settings.SECRETS_APP | {"AUDIT_SEAL_ALARM": 0}
        assert figures(operator)["Seal lag"].level == "calm"
    rows = operator.get(lag.url).context["cl"].result_list
    assert len(rows) > 3


def test_it_takes_no_more_queries_for_more_rows(operator, alice, vault, used):
    def queries():
        operator.get(INDEX)
        with CaptureQueriesContext(connection) as captured:
            operator.get(INDEX)
        return len(captured)

    before = queries()
    for n in range(4):
        alice.api.put(secret_url(vault, f"more/{n}"), body())
        alice.api.get(secret_url(vault, f"more/{n}"))
    assert queries() == before


def test_who_may_see_nothing_is_told_so(used, db):
    client = Client()
    client.force_login(User.objects.create_user("new@example.com", "x", is_staff=True))
    page = client.get(INDEX)
    assert not page.context["figures"]
    assert not page.context["charts"]
    assert "You have no role yet" in page.content.decode()


def test_bars_fit_their_drawing():
    drawn = bars([0, 1, 1000], ["a", "b", "c"], ["", "", ""])
    assert [bar.height for bar in drawn] == [0, 2, HEIGHT]
    assert all(bar.y + bar.height == pytest.approx(HEIGHT) for bar in drawn)
    assert drawn[0].whole[0] == pytest.approx(0, abs=0.02)
    assert drawn[2].whole[0] + drawn[2].whole[1] == pytest.approx(WIDTH, abs=0.02)
    assert bars([], [], []) == []


def test_pages_come_with_a_policy_that_lets_nothing_in_from_elsewhere(operator, db):
    policy = operator.get(INDEX).headers["Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert "unsafe-inline" not in rules["script-src"]
    assert rules["frame-ancestors"] == "'none'"
    assert "http" not in policy

"""Nobody who has not signed in can fill the audit log (issue 14, point 3): failures beyond a rate are
counted, and their sum is in the log."""

import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connections
from django.test import Client

from secrets_app.errors import TooManyRequests, Unauthenticated
from secrets_app.models import AuditEvent
from secrets_app.services.audit import failures, verify
from secrets_app.services.identity.identification import identify
from tests.cast import PASSWORD, Api, body, secret_url

RATE = 10
NOW = datetime(2027, 1, 1, tzinfo=UTC)
NOWHERE = "/v1/vaults"
HERE = {"REMOTE_ADDR": "192.0.2.1"}


@pytest.fixture(autouse=True)
def rate(settings, time_machine):
    """On a slow machine, too, all that a test sends comes within one window."""
    time_machine.move_to(NOW, tick=False)
    settings.SECRETS_APP = settings.SECRETS_APP | {"AUTH_FAILURE_RATE": f"{RATE}/minute"}


def nonsense(**where):
    return Api("nonsense").get(NOWHERE, **(where or HERE)).status_code


def rows():
    return AuditEvent.objects.filter(action__in=("auth.failure", "auth.failure_burst"))


def bursts():
    """What was counted is written when its time is over; here at once."""
    failures.flush(everything=True)
    return AuditEvent.objects.filter(action="auth.failure_burst").order_by("id")


def in_the_log():
    """How many failures the log tells of."""
    failures.flush(everything=True)
    return sum(event.details.get("more", 1) for event in rows())


def test_nonsense_requests_leave_few_rows_whose_sum_is_right(alice):
    statuses = [nonsense() for _ in range(100)]
    assert statuses == [401] * RATE + [429] * (100 - RATE)
    assert in_the_log() == 100
    assert rows().count() == RATE + 1
    assert verify.verify_audit().is_valid


def test_thirteen_thousand_nonsense_credentials_leave_few_rows_whose_sum_is_right(alice):
    for _ in range(13_000):
        with suppress(Unauthenticated, TooManyRequests):
            identify(bearer="nonsense", vault_id=None, address="192.0.2.1", request_id=uuid4())
    assert in_the_log() == 13_000
    # A sum is written when it is large, so that a process that is killed loses no more than that.
    assert rows().count() == RATE + 2
    assert max(event.details["more"] for event in bursts()) == failures.MOST_UNWRITTEN


def test_a_burst_tells_how_many_from_where_and_why(alice):
    for _ in range(RATE + 5):
        nonsense()
    for _ in range(2):
        Api("1ck_" + "x" * 43).get(NOWHERE, **HERE)
    (burst,) = bursts()
    assert burst.outcome == "failure"
    assert (burst.actor_id, burst.actor_type, burst.ip_address) == (None, "anonymous", "192.0.2.1")
    assert burst.details == {
        "more": 7,
        "within_s": 60,
        "reasons": {"bearer invalid_token": 5, "bearer unknown_principal": 2},
    }
    assert not bursts().exclude(pk=burst.pk).exists()


def test_who_is_refused_is_told_when_to_come_back(alice):
    for _ in range(RATE):
        nonsense()
    answer = Api("nonsense").get(NOWHERE, **HERE)
    assert answer.status_code == 429
    assert answer["Content-Type"] == "application/problem+json"
    assert 0 < int(answer["Retry-After"]) <= 60


def test_addresses_of_one_ipv6_network_are_counted_together(alice):
    statuses = [nonsense(REMOTE_ADDR=f"2001:db8:0:1::{n:x}") for n in range(1, RATE + 11)]
    assert statuses == [401] * RATE + [429] * 10
    assert nonsense(REMOTE_ADDR="2001:db8:0:2::1") == 401
    (burst,) = bursts()
    assert (burst.ip_address, burst.details["network"]) == ("2001:db8:0:1::", "2001:db8:0:1::/64")


def test_an_ipv4_address_written_as_ipv6_is_that_of_ipv4(alice):
    for _ in range(RATE):
        nonsense()
    assert nonsense(REMOTE_ADDR="::ffff:192.0.2.1") == 429
    assert nonsense(REMOTE_ADDR="::ffff:192.0.2.2") == 401


def test_who_has_a_valid_credential_passes_whatever_comes_from_that_address(alice, robot):
    token = alice.token
    for _ in range(RATE + 5):
        nonsense()
    assert Api(token).get(NOWHERE, **HERE).status_code == 200
    assert Api(alice.raw_key).get(NOWHERE, **HERE).status_code == 200
    signs_in = [
        ("/v1/auth/token", {"email": "alice@example.com", "password": PASSWORD}),
        ("/v1/auth/api-key-token", {"api_key": alice.raw_key}),
        ("/v1/auth/agent-token", {"api_key": robot.raw_key}),
    ]
    for path, content in signs_in:
        assert Api().post(path, content, **HERE).status_code == 200


SIGN_INS = [
    ("/v1/auth/token", {"email": "nobody{n}@example.com", "password": "wrong"}),
    ("/v1/auth/api-key-token", {"api_key": "1ck_wrong"}),
    ("/v1/auth/agent-token", {"api_key": "ocv_wrong"}),
]


@pytest.mark.parametrize(("path", "content"), SIGN_INS)
def test_every_way_to_sign_in_is_counted(alice, path, content):
    def attempt(n):
        filled = {name: text.format(n=n) for name, text in content.items()}
        return Api().post(path, filled, **HERE).status_code

    assert [attempt(n) for n in range(RATE + 5)] == [401] * RATE + [429] * 5
    assert in_the_log() == RATE + 5
    assert rows().count() == RATE + 1


def test_ways_to_fail_are_counted_together(alice):
    for _ in range(RATE):
        nonsense()
    for path, content in SIGN_INS:
        assert Api().post(path, content, **HERE).status_code == 429


def test_the_sign_in_form_of_pages_is_counted(alice):
    client = Client(REMOTE_ADDR="192.0.2.1")

    def attempt(n):
        form = {"login": f"nobody{n}@example.com", "password": "wrong"}
        return client.post("/accounts/login/", form)

    assert [attempt(n).status_code for n in range(RATE)] == [200] * RATE
    refused = attempt(RATE)
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 60
    assert in_the_log() == RATE + 1


def test_wrong_codes_of_the_second_factor_are_counted(alice):
    client = Client(REMOTE_ADDR="192.0.2.1")
    form = {"login": "alice@example.com", "password": PASSWORD}
    assert client.post("/accounts/login/", form).status_code == 302
    statuses = [
        client.post("/accounts/2fa/app/", {"code": "000000"}).status_code for _ in range(RATE + 3)
    ]
    assert statuses == [200] * RATE + [429] * 3
    (burst,) = bursts()
    assert burst.details["reasons"] == {"auth.second_factor_add bad_code": 3}


def test_wrong_current_passwords_are_counted(alice):
    content = {"current_password": "wrong", "new_password": "a long enough passphrase"}
    api = alice.api
    for _ in range(RATE + 4):
        answer = api.post("/v1/auth/change-password", content, **HERE)
    assert answer.status_code == 429
    assert AuditEvent.objects.filter(action="auth.password_change").count() == RATE
    (burst,) = bursts()
    assert burst.details["more"] == 4


def test_a_lockout_is_told_as_before_and_counted(alice):
    def sign_in(password):
        content = {"email": "alice@example.com", "password": password}
        return Api().post("/v1/auth/token", content, **HERE)

    for _ in range(RATE + 5):
        last = sign_in("wrong")
    assert (last.status_code, last["Retry-After"]) == (429, "900")
    assert sign_in(PASSWORD).status_code == 429
    assert in_the_log() == RATE + 6


def test_a_window_ends_and_its_sum_is_written(alice, time_machine):
    for _ in range(RATE + 9):
        nonsense()
    time_machine.move_to(NOW + timedelta(seconds=59), tick=False)
    assert nonsense() == 429
    failures.flush()
    assert not AuditEvent.objects.filter(action="auth.failure_burst").exists()
    time_machine.move_to(NOW + timedelta(seconds=61), tick=False)
    assert nonsense() == 401
    failures.flush()
    assert AuditEvent.objects.get(action="auth.failure_burst").details["more"] == 10


def test_many_networks_leave_no_more_rows_than_a_bound_and_are_summed_up(alice, monkeypatch):
    """Whoever has a /48 has 65,536 networks. Those who are within their own rate are answered as ever."""
    most = RATE * failures.MOST_TIMES_THE_RATE
    tried = most + 50
    statuses = {nonsense(REMOTE_ADDR=f"2001:db8:1:{n:x}::1") for n in range(tried)}
    assert statuses == {401}
    assert in_the_log() == tried
    assert rows().count() == most + 1
    (burst,) = bursts()
    assert burst.ip_address is None
    assert (burst.details["more"], burst.details["networks"]) == (50, 50)


def test_what_is_remembered_of_networks_is_bounded(alice, monkeypatch):
    monkeypatch.setattr(failures, "MOST_NETWORKS", 50)
    for n in range(80):
        nonsense(REMOTE_ADDR=f"198.51.100.{n}")
    assert len(failures._failures._windows) <= 51
    assert in_the_log() == 80


def test_many_bursts_at_once_are_merged(alice, monkeypatch):
    monkeypatch.setattr(failures, "MOST_BURSTS", 3)
    for n in range(6):
        for _ in range(RATE + 1 + n):
            nonsense(REMOTE_ADDR=f"198.51.100.{n}")
    total = sum(RATE + 1 + n for n in range(6))
    assert in_the_log() == total
    assert AuditEvent.objects.filter(action="auth.failure_burst").count() == 4


@pytest.mark.django_db(transaction=True)
def test_a_sum_that_cannot_be_written_is_kept_till_it_can(alice, unwritable_log):
    for _ in range(RATE + 5):
        nonsense()
    with unwritable_log():
        failures.flush(everything=True)
    assert in_the_log() == RATE + 5


@pytest.mark.django_db(transaction=True)
def test_sums_are_written_by_themselves_when_a_window_ends(alice, settings, time_machine):
    time_machine.move_to(NOW, tick=True)
    settings.SECRETS_APP = settings.SECRETS_APP | {"AUTH_FAILURE_RATE": "3/second"}
    for _ in range(8):
        nonsense()
    written = threading.Event()
    for _ in range(50):
        if sum(event.details.get("more", 1) for event in rows()) == 8:
            break
        written.wait(0.1)
    assert sum(event.details.get("more", 1) for event in rows()) == 8


@pytest.mark.django_db(transaction=True)
def test_failures_at_once_are_all_counted(alice):
    def many():
        try:
            for _ in range(20):
                nonsense()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=many) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert in_the_log() == 100
    assert rows().count() == RATE + 1


def test_each_failure_is_in_the_metrics(alice):
    from prometheus_client import REGISTRY

    def counted():
        return REGISTRY.get_sample_value("vaultsite_auth_failures_total", {"method": "bearer"}) or 0

    before = counted()
    for _ in range(RATE + 5):
        nonsense()
    assert counted() == before + RATE + 5


def test_the_overview_counts_every_failure(alice):
    from secrets_app.services.operations.overview.activity import activity

    for _ in range(RATE + 30):
        nonsense()
    failures.flush(everything=True)
    spans = activity(spans=2, each=timedelta(hours=1))
    assert sum(span.failed_sign_ins for span in spans) == RATE + 30


def test_auditors_see_bursts_and_others_do_not(alice, bob):
    from tests.every_action import operator_client

    for _ in range(RATE + 5):
        nonsense()
    (burst,) = bursts()
    assert alice.api.get("/v1/audit/events?action=auth.failure_burst").json()["count"] == 0
    page = operator_client("auditor").get(f"/admin/secrets_app/auditevent/{burst.pk}/change/")
    assert page.status_code == 200


def test_a_denial_of_somebody_who_is_signed_in_is_not_counted_here(alice, bob, vault):
    """Those have the rate of their principal (RATE_LIMIT)."""
    alice.api.put(secret_url(vault), body())
    api = bob.api
    statuses = {api.get(secret_url(vault), **HERE).status_code for _ in range(RATE + 5)}
    assert statuses == {403}
    assert AuditEvent.objects.filter(outcome="denied").count() == RATE + 5


def test_without_a_rate_each_failure_is_an_event(alice, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"AUTH_FAILURE_RATE": ""}
    assert {nonsense() for _ in range(RATE * 2)} == {401}
    assert rows().count() == RATE * 2


def test_no_failure_beyond_the_rate_asks_for_more_than_the_count(alice, django_assert_num_queries):
    for _ in range(RATE):
        nonsense()
    with django_assert_num_queries(0):
        assert nonsense() == 429

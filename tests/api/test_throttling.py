from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from secrets_app.models import AuditEvent
from tests.cast import PASSWORD, Api, body, secret_url

LIMIT = 10


def sign_in(password, email="alice@example.com", address="192.0.2.1"):
    content = {"email": email, "password": password}
    return Api().post("/v1/auth/token", content, REMOTE_ADDR=address)


def fail(times, **where):
    return [sign_in("wrong", **where).status_code for _ in range(times)]


def limited(settings, **rates):
    settings.SECRETS_APP = settings.SECRETS_APP | rates


# --- lockout --------------------------------------------------------------------------------------


@pytest.fixture(
    params=["axes.handlers.database.AxesDatabaseHandler", "axes.handlers.cache.AxesCacheHandler"]
)
def handler(request, settings):
    """Failures are counted in the database, or in the cache that CACHE_URL names."""
    from django.core.cache import cache

    cache.clear()
    settings.AXES_HANDLER = request.param
    yield
    cache.clear()


@pytest.mark.usefixtures("handler")
def test_wrong_passwords_lock_the_account_out_even_for_the_right_one(alice):
    assert fail(LIMIT - 1) == [401] * (LIMIT - 1)
    assert fail(1) == [429]
    response = sign_in(PASSWORD)
    assert response.status_code == 429
    assert response["Content-Type"] == "application/problem+json"
    assert int(response["Retry-After"]) == 900
    event = AuditEvent.objects.filter(action="auth.failure").latest("id")
    assert (event.actor_id, event.details["reason"]) == (alice.principal.id, "locked_out")


@pytest.mark.usefixtures("handler")
def test_spellings_of_an_account_are_counted_together(alice):
    spellings = [
        "alice@example.com",
        "ALICE@EXAMPLE.COM",
        " Alice@example.com ",
        "alicE@example.Com",
    ]
    for n in range(LIMIT):
        sign_in("wrong", email=spellings[n % len(spellings)])
    assert sign_in(PASSWORD).status_code == 429


@pytest.mark.usefixtures("handler")
def test_a_stranger_elsewhere_cannot_lock_alice_out(alice):
    fail(LIMIT + 2, address="198.51.100.9")
    assert sign_in(PASSWORD, address="198.51.100.9").status_code == 429
    assert sign_in(PASSWORD).status_code == 200
    assert Api(alice.raw_key).get("/v1/auth/me").status_code == 200


@pytest.mark.usefixtures("handler")
def test_an_unknown_account_is_locked_out_just_the_same(alice):
    known = fail(LIMIT + 1)
    unknown = fail(LIMIT + 1, email="nobody@example.com")
    assert known == unknown


def test_a_success_begins_the_count_anew(alice):
    fail(LIMIT - 1)
    assert sign_in(PASSWORD).status_code == 200
    assert fail(LIMIT - 1) == [401] * (LIMIT - 1)


def test_a_lockout_ends(alice, time_machine):
    start = datetime(2027, 1, 1, tzinfo=UTC)
    time_machine.move_to(start, tick=False)
    fail(LIMIT)
    time_machine.move_to(start + timedelta(seconds=899), tick=False)
    assert sign_in(PASSWORD).status_code == 429
    time_machine.move_to(start + timedelta(seconds=901), tick=False)
    assert sign_in(PASSWORD).status_code == 200


def test_guessing_the_current_password_is_counted_too(alice):
    api = alice.api
    content = {"current_password": "wrong", "new_password": "a long enough passphrase"}
    statuses = [api.post("/v1/auth/change-password", content).status_code for _ in range(LIMIT + 1)]
    assert statuses == [400] * (LIMIT - 1) + [429] * 2


def test_the_admin_is_locked_by_the_same_count(alice):
    client = Client(REMOTE_ADDR="192.0.2.1")
    fail(LIMIT - 1)
    page = client.post("/accounts/login/", {"login": "Alice@example.com", "password": "wrong"})
    assert page.status_code == 429
    assert sign_in(PASSWORD).status_code == 429


def test_what_is_typed_as_an_address_is_not_kept(alice):
    from axes.models import AccessAttempt

    sign_in("wrong", email="my-secret-password")
    kept = str(list(AccessAttempt.objects.values()))
    assert "my-secret-password" not in kept
    assert "wrong" not in kept


def test_an_address_in_front_of_a_trusted_proxy_is_the_one_that_counts(alice, settings):
    limited(settings, TRUSTED_PROXIES=["10.0.0.0/8"])
    content = {"email": "alice@example.com", "password": "wrong"}

    def through_proxy(client_address, password="wrong"):
        return Api().post(
            "/v1/auth/token",
            content | {"password": password},
            REMOTE_ADDR="10.0.0.1",
            headers={"X-Forwarded-For": client_address},
        )

    for _ in range(LIMIT):
        through_proxy("198.51.100.9")
    assert through_proxy("198.51.100.9", PASSWORD).status_code == 429
    assert through_proxy("192.0.2.1", PASSWORD).status_code == 200


# --- rates ----------------------------------------------------------------------------------------


def test_a_principal_has_a_rate_and_is_told_when_to_come_back(alice, bob, settings):
    limited(settings, RATE_LIMIT="3/hour")
    api = alice.api
    statuses = [api.get("/v1/vaults").status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    response = api.get("/v1/vaults")
    assert response["Content-Type"] == "application/problem+json"
    assert 0 < int(response["Retry-After"]) <= 3600
    # Another token of hers does not help, and others are not concerned.
    assert alice.api.get("/v1/vaults").status_code == 429
    assert bob.api.get("/v1/vaults").status_code == 200


def test_the_rate_is_checked_before_the_body_is_read(alice, vault, settings):
    limited(settings, RATE_LIMIT="1/hour")
    api = alice.api
    assert api.put(secret_url(vault), body()).status_code == 201
    assert api.put(secret_url(vault), b"{" * 1000).status_code == 429
    assert api.put(secret_url(vault), b"x", content_type="text/plain").status_code == 429


def test_signing_in_has_a_rate_for_each_address(alice, settings):
    limited(settings, SIGN_IN_RATE_LIMIT="2/hour")
    assert [sign_in(PASSWORD).status_code for _ in range(3)] == [200, 200, 429]
    assert sign_in(PASSWORD, address="198.51.100.2").status_code == 200
    answer = Api().post("/v1/auth/agent-token", {"api_key": "ocv_x"}, REMOTE_ADDR="192.0.2.1")
    assert answer.status_code == 429
    assert Api().get("/v1/health").status_code == 200


def test_a_counter_that_cannot_be_reached_stops_nobody(alice, settings, caplog):
    limited(settings, RATE_LIMIT="1/hour", RATE_LIMIT_STORAGE="redis://127.0.0.1:1/0")
    assert {alice.api.get("/v1/vaults").status_code for _ in range(3)} == {200}
    assert "requests cannot be counted" in caplog.text


def test_without_a_rate_there_is_no_limit(alice, settings):
    limited(settings, RATE_LIMIT="")
    assert {alice.api.get("/v1/vaults").status_code for _ in range(20)} == {200}


@pytest.mark.parametrize("rate", ["many", "5", 5, "5/fortnight"])
def test_a_malformed_rate_is_said_at_the_start(settings, rate):
    from django.core.checks import run_checks

    limited(settings, RATE_LIMIT=rate)
    assert "RATE_LIMIT" in run_checks(tags=["secrets_app"], databases=[])[0].msg


def test_the_defaults_are_generous():
    from secrets_app.conf import AppSettings

    class Bare(AppSettings):
        def _all(self):
            return {}

    assert (Bare().RATE_LIMIT, Bare().SIGN_IN_RATE_LIMIT) == ("6000/minute", "120/minute")

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from secrets_app.errors import ProviderUnavailable
from secrets_app.keys import keyring
from secrets_app.models import SecretVersion
from secrets_app.services.operations.secret_states import count_secrets_by_state
from tests.cast import Api, allow, body, secret_url, write_events

TOKEN = "scrape-" + "me"


def get(token=TOKEN, **extra):
    return Client().get("/metrics", headers={"Authorization": f"Bearer {token}"}, **extra)


def sample(name, **labels):
    """One number of the page."""
    text = get().content.decode()
    found = [
        each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
        if each.name == name and each.labels == labels
    ]
    return found[0] if found else None


@pytest.fixture
def on(settings):
    from vaultsite.metrics import secret_states

    settings.METRICS_TOKEN = TOKEN
    secret_states.forget()


class Rise:
    """How much a number went up since."""

    def __init__(self, name, **labels):
        self._what = name, labels
        self._before = self._now()

    def _now(self):
        return REGISTRY.get_sample_value(self._what[0], self._what[1]) or 0

    def __call__(self):
        return self._now() - self._before


def test_without_a_token_the_page_is_not_there(db, settings):
    settings.METRICS_TOKEN = ""
    assert get("").status_code == 404
    assert Client().get("/metrics").status_code == 404


@pytest.mark.parametrize("token", ["", "wrong", "\u00e9"])
def test_another_token_does_not_open_it(db, on, token):
    assert get(token).status_code == 404


def test_a_network_opens_it_without_a_token(db, settings):
    from ipaddress import ip_network

    settings.METRICS_NETWORKS = [ip_network("10.1.0.0/16"), ip_network("fd00::/8")]
    for address, status in (
        ("10.1.2.3", 200),
        ("::ffff:10.1.2.3", 200),
        ("fd00::1", 200),
        ("10.2.0.1", 404),
        ("127.0.0.1", 404),
        ("", 404),
    ):
        assert Client().get("/metrics", REMOTE_ADDR=address).status_code == status, address
    # Only a trusted proxy says who is behind it.
    forged = {"X-Forwarded-For": "10.1.2.3"}
    assert Client().get("/metrics", headers=forged, REMOTE_ADDR="8.8.8.8").status_code == 404
    settings.SECRETS_APP = settings.SECRETS_APP | {"TRUSTED_PROXIES": ["8.8.8.8/32"]}
    assert Client().get("/metrics", headers=forged, REMOTE_ADDR="8.8.8.8").status_code == 200


def test_the_lag_of_sealing(db, on):
    write_events(1)
    answer = get()
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    assert 0 <= sample("vaultsite_audit_seal_lag_seconds") < 60
    assert sample("vaultsite_audit_write_failures_total") is not None


def test_it_answers_without_a_database(db, on, monkeypatch):
    def away(**_):
        raise OperationalError

    monkeypatch.setattr("vaultsite.metrics.seal_lag", away)
    monkeypatch.setattr("vaultsite.metrics.count_secrets_by_state", away)
    answer = get()
    assert answer.status_code == 200
    assert b"vaultsite_audit_write_failures_total" in answer.content
    assert b"seal_lag" not in answer.content
    assert b"vaultsite_secrets" not in answer.content


def test_it_is_only_read(db, on):
    post = Client().post("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert post.status_code == 405


def test_requests_by_route_and_status_never_by_path(alice, charlie, vault, on):
    put = {"route": "secrets_app:secret", "method": "PUT"}
    created = Rise("vaultsite_requests_total", **put, status="201")
    refused = Rise("vaultsite_requests_total", **put, status="403")
    timed = Rise("vaultsite_request_duration_seconds_count", **put)
    nowhere = Rise("vaultsite_requests_total", route="none", method="other", status="404")
    alice.api.put(secret_url(vault, "of-the-path"), body())
    alice.api.put(secret_url(vault, "of-the-path"), body())
    charlie.api.put(secret_url(vault, "of-the-path"), body())
    Api().request("BREW", "/somewhere/of-the-path")
    assert (created(), refused(), timed(), nowhere()) == (2, 1, 3, 1)
    page = get().content.decode()
    assert str(vault.id) not in page
    assert "of-the-path" not in page
    assert "BREW" not in page


def test_denials_are_counted_by_action(alice, charlie, vault):
    denied = Rise("vaultsite_policy_denials_total", action="secret.read")
    allow(charlie, vault, "other", "read")
    charlie.api.get(secret_url(vault, "api-keys/openai"))
    assert denied() == 1
    alice.api.get(secret_url(vault, "api-keys/openai"))  # 404 is no denial
    assert denied() == 1


def test_calls_of_key_providers_and_hits_of_the_cache(alice, vault, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"KEK_CACHE_TTL": 60}  # and an empty cache
    alice.api.get("/v1/auth/me")
    hits = Rise("vaultsite_kek_cache_total", result="hit")
    misses = Rise("vaultsite_kek_cache_total", result="miss")
    calls = Rise("vaultsite_provider_duration_seconds_count", scheme="file", operation="unwrap")
    alice.api.put(secret_url(vault), body())
    assert (misses(), calls()) == (1, 1)
    alice.api.get(secret_url(vault))
    assert (misses(), calls()) == (1, 1)
    assert hits() >= 1


class AwayProvider:
    binds_context = True
    active_key_id = "away:1"
    key_ids = frozenset([active_key_id])

    def __init__(self, url, *, timeout_s):
        pass

    def wrap(self, *_):
        raise ProviderUnavailable

    unwrap = check_health = wrap


def test_errors_of_key_providers_are_counted_by_kind(alice, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {
        "ROOT_KEY_URLS": ["away:1", *settings.SECRETS_APP["ROOT_KEY_URLS"]],
        "EXTRA_KEY_PROVIDERS": {"away": "tests.test_metrics.AwayProvider"},
    }
    failed = Rise(
        "vaultsite_provider_errors_total",
        scheme="away",
        operation="wrap",
        error="ProviderUnavailable",
    )
    assert alice.api.post("/v1/vaults", {"name": "new"}).status_code == 500
    assert failed() == 1


def test_calls_of_key_providers_are_timed_health_checks_too(settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"KEK_CACHE_TTL": 60}  # and a new keyring
    named = {"scheme": "file", "operation": "check"}
    calls = Rise("vaultsite_provider_duration_seconds_count", **named)
    seconds = Rise("vaultsite_provider_duration_seconds_sum", **named)
    assert [health.error for health in keyring().health()] == [None]
    assert calls() == 1
    assert 0 < seconds() < 60


def test_secrets_by_state(alice, vault, on):
    past = (timezone.now() - timedelta(days=1)).isoformat()
    for path, fields in (
        ("a", {}),
        ("b", {}),
        ("expired", {"expires_at": past}),
        ("used", {"max_access_count": 1}),
        ("deleted", {"expires_at": past}),
        ("disabled", {}),
        ("destroyed", {}),
    ):
        alice.api.put(secret_url(vault, path), body(**fields))
    alice.api.put(secret_url(vault, "a"), body())  # counted once
    alice.api.get(secret_url(vault, "used"))
    alice.api.delete(secret_url(vault, "deleted"))
    alice.api.post(f"/v1/vaults/{vault.id}/secret-version-disable/disabled/1")
    SecretVersion.objects.filter(secret__path="destroyed").update(
        value=None, destroyed_at=timezone.now()
    )
    counts = {
        state: sample("vaultsite_secrets", state=state)
        for state in ("available", "expired", "used_up", "deleted", "disabled", "destroyed")
    }
    assert counts == {
        "available": 2,
        "expired": 1,
        "used_up": 1,
        "deleted": 1,
        "disabled": 1,
        "destroyed": 1,
    }


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_counting_secrets_is_given_up_when_it_takes_too_long(on):
    from django.db import DatabaseError, connection

    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE secrets_app_secretversion IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(DatabaseError):
            count_secrets_by_state(within_ms=100)
    finally:
        other.close()
    assert count_secrets_by_state(within_ms=5000)["available"] == 0


def test_secrets_are_not_counted_at_every_scrape(alice, vault, on, django_assert_num_queries):
    assert sample("vaultsite_secrets", state="available") == 0
    alice.api.put(secret_url(vault), body())
    with django_assert_num_queries(1):  # the lag
        get()
    assert sample("vaultsite_secrets", state="available") == 0

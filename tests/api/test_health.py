import time

import pytest

from secrets_app.errors import ProviderUnavailable
from secrets_app.models import AuditEvent, IdempotencyKey, Secret, SecretVersion, Vault
from secrets_app.providers.local import LocalProvider
from secrets_app.services.keys import health
from tests.cast import body, secret_url


class Away(LocalProvider):
    """A root key whose provider is away whenever `is_away` says so."""

    is_away = True

    def __init__(self):
        super().__init__([bytes(range(32))])

    def check_health(self):
        if Away.is_away:
            raise ProviderUnavailable

    def wrap(self, key, context):
        self.check_health()
        return super().wrap(key, context)

    def unwrap(self, key_id, blob, context):
        self.check_health()
        return super().unwrap(key_id, blob, context)


def away(url, *, timeout_s):
    return Away()


@pytest.fixture
def use(settings, monkeypatch):
    """Set ROOT_KEY_URLS; `away:` is a provider that cannot be reached."""
    urls = settings.SECRETS_APP["ROOT_KEY_URLS"]
    monkeypatch.setattr(Away, "is_away", True)

    def configure(*kinds, **others):
        settings.SECRETS_APP = settings.SECRETS_APP | {
            "ROOT_KEY_URLS": [
                url for kind in kinds for url in (urls if kind == "good" else ["away:"])
            ],
            "EXTRA_KEY_PROVIDERS": {"away": f"{__name__}.away"},
            **others,
        }

    return configure


@pytest.mark.parametrize(
    ("kinds", "status"),
    [
        (["good"], "ok"),
        (["good", "away"], "degraded"),
        (["away", "good"], "unavailable"),
        (["away"], "unavailable"),
        ([], "unavailable"),
    ],
)
def test_the_state_of_the_providers_is_public(nobody, use, kinds, status):
    use(*kinds)
    answer = nobody.get("/v1/health/hsm")
    assert (answer.status_code, answer.json()) == (200, {"status": status})


def test_a_provider_that_comes_back_is_seen(nobody, use, monkeypatch):
    use("away")
    assert nobody.get("/v1/health/hsm").json() == {"status": "unavailable"}
    monkeypatch.setattr(Away, "is_away", False)
    # Not yet: an answer is good for a moment, however many ask.
    assert nobody.get("/v1/health/hsm").json() == {"status": "unavailable"}
    later = time.monotonic() + health.KEPT_FOR_S + 1
    monkeypatch.setattr(health.time, "monotonic", lambda: later)
    assert nobody.get("/v1/health/hsm").json() == {"status": "ok"}


def test_while_one_asks_the_others_get_the_last_answer(nobody, use, monkeypatch):
    use("good")
    assert nobody.get("/v1/health/hsm").json() == {"status": "ok"}
    later = time.monotonic() + health.KEPT_FOR_S + 1
    monkeypatch.setattr(health.time, "monotonic", lambda: later)
    with health._asking:
        assert nobody.get("/v1/health/hsm").json() == {"status": "ok"}


def stored():
    return [model.objects.count() for model in (Vault, Secret, SecretVersion, IdempotencyKey)]


def test_while_the_provider_is_away_writes_are_refused_and_store_nothing(
    alice, vault, use, monkeypatch
):
    monkeypatch.setattr(Away, "is_away", False)
    use("away")
    away_vault = alice.api.post("/v1/vaults", {"name": "away"}).json()["id"]
    monkeypatch.setattr(Away, "is_away", True)
    use("away", KEK_CACHE_TTL=1)
    before = stored()
    requests = [
        ("PUT", f"/v1/vaults/{away_vault}/secrets/a", body()),
        (
            "POST",
            f"/v1/vaults/{away_vault}/secrets:batchWrite",
            {"secrets": [{"path": "a", **body()}]},
        ),
        ("POST", "/v1/vaults", {"name": "another"}),
    ]
    for n, (method, path, content) in enumerate(requests):
        for headers in ({}, {"Idempotency-Key": f"key-{n}"}):
            answer = alice.api.request(method, path, content, headers=headers)
            assert answer.status_code == 500
            assert answer["Content-Type"] == "application/problem+json"
            assert int(answer["Retry-After"]) > 0
            assert "hsm" not in answer.json()["detail"].lower()
    assert stored() == before
    monkeypatch.setattr(Away, "is_away", False)
    for n, (method, path, content) in enumerate(requests):
        headers = {"Idempotency-Key": f"key-{n}"}
        assert alice.api.request(method, path, content, headers=headers).status_code in (200, 201)


def test_reads_go_on_until_the_cache_ends_and_spend_nothing_after(alice, use, monkeypatch):
    monkeypatch.setattr(Away, "is_away", False)
    use("away", KEK_CACHE_TTL=300)
    vault = Vault.objects.get(pk=alice.api.post("/v1/vaults", {"name": "away"}).json()["id"])
    url = secret_url(vault)
    alice.api.put(url, body("v", max_access_count=2))
    monkeypatch.setattr(Away, "is_away", True)
    assert alice.api.get(url).json()["value"] == "v"
    assert alice.api.put(secret_url(vault, "b"), body()).status_code == 201
    from secrets_app.crypto import keyring

    later = time.monotonic() + 301
    monkeypatch.setattr(keyring.time, "monotonic", lambda: later)
    for _ in range(3):
        answer = alice.api.get(url)
        assert (answer.status_code, answer["Retry-After"]) == (500, "5")
    assert alice.api.put(secret_url(vault, "c"), body()).status_code == 500
    batch = alice.api.post(
        f"/v1/vaults/{vault.pk}/secrets:batchRead", {"paths": ["api-keys/openai"]}
    )
    assert [each["status"] for each in batch.json()["errors"]] == [500]
    assert SecretVersion.objects.get(max_access_count=2).access_count == 1
    failures = AuditEvent.objects.filter(action="secret.read", outcome="failure")
    assert {event.details["reason"] for event in failures} == {"ProviderUnavailable"}
    monkeypatch.setattr(Away, "is_away", False)
    assert alice.api.get(url).json()["value"] == "v"


def test_health_is_degraded_while_events_cannot_be_written(alice, nobody, vault, unwritable_log):

    from secrets_app.metrics import AUDIT_WRITE_FAILURES

    def failures():
        return AUDIT_WRITE_FAILURES.collect()[0].samples[0].value

    before = failures()
    assert nobody.get("/v1/health").json()["status"] == "healthy"
    with unwritable_log():
        assert alice.api.put(secret_url(vault), body()).status_code == 500
        assert nobody.get("/v1/health").json()["status"] == "degraded"
    assert failures() > before
    # It tries for itself, and takes that back.
    count = AuditEvent.objects.count()
    assert nobody.get("/v1/health").json()["status"] == "healthy"
    assert AuditEvent.objects.count() == count


def test_health_is_degraded_while_sealing_lags(alice, nobody, settings, monkeypatch):
    from datetime import timedelta

    from django.utils import timezone

    from secrets_app.services.audit.seal import seal_events

    assert nobody.get("/v1/health").json()["status"] == "healthy"
    later = timezone.now() + timedelta(seconds=301)
    monkeypatch.setattr("secrets_app.services.audit.health.timezone.now", lambda: later)
    assert nobody.get("/v1/health").json()["status"] == "degraded"
    settings.SECRETS_APP = settings.SECRETS_APP | {"AUDIT_SEAL_ALARM": 0}
    assert nobody.get("/v1/health").json()["status"] == "healthy"
    settings.SECRETS_APP = settings.SECRETS_APP | {"AUDIT_SEAL_ALARM": 300}
    seal_events()
    assert nobody.get("/v1/health").json()["status"] == "healthy"

"""What a review found, each as the claim that holds now."""

import base64
import threading

import pytest
from django.db import connection, connections
from django.test import Client

from secrets_app.errors import ConfigurationError
from secrets_app.models import AuditEvent, SecretVersion, Vault
from secrets_app.services.secrets.reveal import _spend_access
from tests.cast import PASSWORD, Api, body, deny, secret_url


@pytest.mark.parametrize("url", ["/docs", "/v1/openapi.json", "/v1/health", "/v1/vaults"])
def test_no_page_takes_a_password_by_the_way(alice, url):
    """A page that takes HTTP Basic would be a way to try passwords that nobody logs or counts."""
    answers = []
    for password in (PASSWORD, "wrong"):
        credentials = base64.b64encode(f"alice@example.com:{password}".encode()).decode()
        response = Client().get(url, headers={"Authorization": f"Basic {credentials}"})
        answers.append((response.status_code, response.get("Content-Type")))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("method", "extra"),
    [("POST", {}), ("GET", {"headers": {"Accept": "text/csv"}}), ("FOO", {})],
)
def test_the_openapi_route_keeps_the_error_contract_too(alice, method, extra):
    response = alice.api.request(method, "/v1/openapi.json", **extra)
    assert response["Content-Type"] in ("application/json", "application/problem+json")


def test_a_request_for_the_api_itself_is_a_problem_too(nobody):
    assert nobody.get("/v1")["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["\ufdfa" * 255, "\u3300\u3316" * 127])
def test_a_name_that_grows_when_folded_is_fine_on_every_database(alice, name):
    assert alice.api.post("/v1/vaults", {"name": name}).status_code == 201
    assert alice.api.post("/v1/vaults", {"name": name}).status_code == 409


@pytest.mark.parametrize(
    "name", ["prod\u200d", "\u200d", "\u3164", "\u2800", "pr\ufeffod", "prod\u00ad", "\u115f"]
)
def test_names_hold_nothing_invisible(alice, name):
    assert alice.api.post("/v1/vaults", {"name": name}).status_code == 400


def test_names_that_differ_in_invisible_marks_only_are_the_same(alice):
    alice.api.post("/v1/vaults", {"name": "prod"})
    assert alice.api.post("/v1/vaults", {"name": "prod\ufe0f"}).status_code == 409


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda alice: "1ck_wrong", "unknown_principal"),
        (lambda alice: "x.y.z", "invalid_token"),
        (lambda alice: Api(t := alice.token).delete("/v1/auth/token") and t, "revoked_token"),
    ],
)
def test_a_refused_bearer_leaves_an_event(alice, spoil, reason):
    bearer = spoil(alice)
    Api(bearer).get("/v1/vaults", REMOTE_ADDR="192.0.2.9")
    event = AuditEvent.objects.get(action="auth.failure")
    assert event.details == {"method": "bearer", "reason": reason}
    assert event.ip_address == "192.0.2.9"


@pytest.mark.parametrize("url", ["{key}", "env:{key}", "file:{key}", "{key}:x"])
def test_a_key_put_in_the_place_of_its_url_is_not_shown(settings, url):
    from secrets_app.keys import keyring

    key = base64.b64encode(bytes(range(32))).decode()
    settings.SECRETS_APP = settings.SECRETS_APP | {"ROOT_KEY_URLS": [url.format(key=key)]}
    with pytest.raises(ConfigurationError) as caught:
        keyring()
    assert key[:12] not in str(caught.value)


def test_unwrapped_keys_are_dropped_when_their_time_is_over(monkeypatch):
    from uuid import UUID

    from secrets_app.crypto.keyring import Keyring
    from secrets_app.providers.local import LocalProvider

    now = [1000.0]
    monkeypatch.setattr("secrets_app.crypto.keyring.time.monotonic", lambda: now[0])
    ring = Keyring([LocalProvider([bytes(32)])], kek_cache_ttl=60)
    for n in range(3):
        ring.prepare(ring.create_kek(UUID(int=n), 1))
    now[0] += 61
    ring.prepare(ring.create_kek(UUID(int=9), 1))
    assert len(ring._keks) == 1


def test_a_deny_that_makes_no_sense_denies(alice, bob, vault):
    from tests.cast import allow

    alice.api.put(secret_url(vault), body())
    allow(bob, vault, "**", "read")
    policy = deny(bob, vault, "**", "read")
    policy.permissions = "read"
    policy.save()
    assert bob.api.get(secret_url(vault)).status_code == 403


def test_a_deny_alone_makes_nobody_a_member(bob, vault):
    deny(bob, vault, "**", "read")
    assert bob.api.get(f"/v1/vaults/{vault.id}").status_code == 403
    assert bob.api.get("/v1/vaults").json() == {"vaults": []}


@pytest.mark.parametrize("number", [1e16, 1.5e300, -0.0, 1e-300, 2**63 - 1, 0.1])
def test_metadata_comes_back_as_it_was_on_every_database(alice, vault, number):
    written = {"z": number, "a": [number, None], "b": {"y": 1, "x": 2}}
    alice.api.put(secret_url(vault), body(metadata=written))
    read = alice.api.get(secret_url(vault)).json()["metadata"]
    assert repr(read) == repr(written)


@pytest.mark.parametrize("address", ["unix:", "", "not an address", "\0"])
def test_a_peer_without_an_address_is_none(alice, vault, address):
    response = alice.api.put(secret_url(vault), body(), REMOTE_ADDR=address)
    assert response.status_code == 201
    assert AuditEvent.objects.get(action="secret.write").ip_address is None


def test_a_sign_in_body_is_short(nobody):
    response = nobody.post("/v1/auth/token", b" " * (64 * 1024 + 1))
    assert response.status_code == 413


def test_a_strange_host_name_is_not_logged(nobody, caplog):
    nobody.get("/v1/health", HTTP_HOST="canary.example.com")
    assert "canary" not in caplog.text


@pytest.mark.parametrize("field", ["disabled_at", "destroyed_at"])
def test_an_access_is_not_spent_on_a_version_that_ended_after_it_was_looked_at(alice, vault, field):
    from django.utils import timezone

    alice.api.put(secret_url(vault), body(max_access_count=5))
    looked_at = SecretVersion.objects.get()
    change = {field: timezone.now()} | ({"value": None} if field == "destroyed_at" else {})
    SecretVersion.objects.update(**change)
    assert not _spend_access(looked_at, [AuditEvent(action="test")])
    assert SecretVersion.objects.get().access_count == 0
    assert not AuditEvent.objects.filter(action="test").exists()


@pytest.mark.django_db(transaction=True)
def test_no_lock_is_held_while_a_key_provider_answers(alice, vault, monkeypatch):
    from secrets_app.keys import keyring
    from secrets_app.providers.local import LocalProvider

    asked_in_transaction = []
    unwrap = LocalProvider.unwrap

    def watch(self, key_id, blob, context):
        asked_in_transaction.append(connection.in_atomic_block)
        return unwrap(self, key_id, blob, context)

    api = alice.api
    monkeypatch.setattr(LocalProvider, "unwrap", watch)
    keyring()._keks.clear()
    assert api.put(secret_url(vault), body()).status_code == 201
    assert asked_in_transaction == [False]


@pytest.mark.django_db(transaction=True)
def test_a_vault_is_made_once_by_many_at_once(alice):
    token = alice.token
    statuses = []

    def work():
        try:
            statuses.append(Api(token).post("/v1/vaults", {"name": "same"}).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] + [409] * 7
    assert Vault.objects.count() == 1

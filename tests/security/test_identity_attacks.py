"""The published attacks on names, sign-in, credentials and tokens (shared list of lessons), a test each or
more. Each is named after its lesson; the id is in the docstring."""

import hmac
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import hashers
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from secrets_app.models import AuditEvent
from secrets_app.services.identity.api_keys import digest_api_key
from tests.cast import PASSWORD, Api, body, secret_url, vault_of
from tests.every_action import stored
from vaultsite.accounts.models import User

OPERATOR = "root@example.com"


def sign_in(email, password=PASSWORD, **extra):
    return Api().post("/v1/auth/token", {"email": email, "password": password}, **extra)


@pytest.mark.parametrize("name", ["*", "**", "+", "a/b", "%", "_"])
def test_who_is_named_like_a_pattern_is_nobody_else(alice, bob, charlie, name):
    """GHSA-59w7-v8rr-pr4p"""
    vault = vault_of(alice, name)
    assert [each["name"] for each in alice.api.get("/v1/vaults").json()["vaults"]] == [name]
    assert bob.api.get("/v1/vaults").json()["vaults"] == []
    for path in ("a", "b"):
        alice.api.put(secret_url(vault, path), body())

    made = alice.api.post("/v1/agents", {"name": name}).json()
    Group.objects.create(name=name).user_set.add(alice.user, charlie.user)
    for kind, who in (("agent", made["agent"]["id"]), ("group", name)):
        grant = {
            "secret_path_pattern": "a",
            "principal_type": kind,
            "principal_id": who,
            "permissions": ["read"],
        }
        assert alice.api.post(f"/v1/vaults/{vault.id}/policies", grant).status_code == 201
    agent = Api().post("/v1/auth/agent-token", {"api_key": made["api_key"]}).json()
    for token in (agent["access_token"], charlie.token):
        assert Api(token).get(secret_url(vault, "a")).status_code == 200
        assert Api(token).get(secret_url(vault, "b")).status_code == 403
    assert bob.api.get(secret_url(vault, "a")).status_code == 403


def test_case_variants_are_one_identity_for_sign_in_lockout_and_uniqueness(alice):
    """CVE-2025-5999, CVE-2025-6004, CVE-2025-64761"""
    assert sign_in("ALICE@Example.com").status_code == 200
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("Alice@EXAMPLE.com", "x")
    for n in range(10):
        sign_in("alice@example.com" if n % 2 else "ALICE@EXAMPLE.COM", "wrong")
    assert sign_in("aLiCe@example.com").status_code == 429


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Team", "tEAM"),
        ("Straße", "STRASSE"),
        ("Ärger", "äRGER"),
        ("é", "e\u0301"),
        ("\uff21", "a"),
    ],
)
def test_case_variants_of_a_name_are_one_name(alice, one, other):
    """CVE-2025-6004"""
    assert alice.api.post("/v1/vaults", {"name": one}).status_code == 201
    assert alice.api.post("/v1/vaults", {"name": other}).status_code == 409


def test_the_rate_limit_comes_before_parsing_and_bodies_are_bounded(alice, vault, settings):
    """CVE-2025-6203, CVE-2025-12044"""
    deep = b'{"a":' * 50_000
    assert alice.api.put(secret_url(vault), deep).status_code == 400
    assert alice.api.put(secret_url(vault), b" " * 7_000_000).status_code == 413
    for url, content in [
        ("/v1/vaults", {"name": "x" * 256}),
        ("/v1/agents", {"name": "x" * 256}),
        ("/v1/auth/api-key-token", {"api_key": "1ck_" + "x" * 10_000}),
        (f"/v1/vaults/{vault.id}/secrets:batchRead", {"paths": ["x" * 513]}),
        (f"/v1/vaults/{vault.id}/secrets:batchRead", {"paths": [f"p{n}" for n in range(1001)]}),
    ]:
        assert alice.api.post(url, content).status_code in (400, 401), url
    assert alice.api.put(secret_url(vault, "x" * 513), body()).status_code == 400
    assert alice.api.put(secret_url(vault), body("x" * 1_100_000)).status_code == 413
    assert Api("1ck_" + "x" * 100_000).get("/v1/auth/me").status_code == 401
    settings.SECRETS_APP = settings.SECRETS_APP | {"RATE_LIMIT": "1/hour"}
    alice.api.get("/v1/vaults")
    assert alice.api.put(secret_url(vault), deep).status_code == 429


def test_an_unknown_account_costs_as_much_as_a_wrong_password(alice, robot, monkeypatch):
    """CVE-2025-6011, GHSA-34fc-gh42-pj53"""
    hasher = type(hashers.get_hasher())
    encode, calls = hasher.encode, []
    monkeypatch.setattr(
        hasher, "encode", lambda self, *args, **kw: calls.append(1) or encode(self, *args, **kw)
    )
    costs = []
    for email in ("alice@example.com", "nobody@example.com", "x", "a" * 254):
        calls.clear()
        assert sign_in(email, "wrong").status_code == 401
        costs.append(len(calls))
    assert costs == [1, 1, 1, 1]


@pytest.mark.parametrize("spoil", ["", "x"])
def test_no_credential_is_compared_byte_by_byte(alice, spoil, settings, monkeypatch):
    """CVE-2025-6011: a key is found by its digest, whose bytes nobody can choose; what is compared at
    all is compared in constant time."""
    raw = alice.raw_key[: len(alice.raw_key) - len(spoil)] + spoil
    with CaptureQueriesContext(connection) as asked:
        Api().post("/v1/auth/api-key-token", {"api_key": raw})
        Api(raw).get("/v1/auth/me")
    said = " ".join(query["sql"] for query in asked)
    assert digest_api_key(raw) in said
    for start in range(0, len(raw) - 12, 4):
        assert raw[start : start + 12] not in said

    settings.METRICS_TOKEN = "right"
    compared, real = [], hmac.compare_digest

    def compare_digest(one, other):
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare_digest)
    bearer = {"Authorization": f"Bearer right{spoil}"}
    answer = Api().client.get("/metrics", headers=bearer)
    assert answer.status_code == (404 if spoil else 200)
    assert len(compared) == 1


@pytest.mark.parametrize("what", ["key", "agent", "itself"])
def test_a_token_never_outlives_key_agent_or_itself_not_even_at_the_last_second(
    alice, time_machine, what
):
    """CVE-2021-32923"""
    start = datetime(2027, 1, 1, 0, 0, 0, 400_000, tzinfo=UTC)
    time_machine.move_to(start, tick=False)
    end = start.replace(microsecond=0) + timedelta(seconds=60)
    fields = {
        "key": {"api_key_expires_at": end.isoformat()},
        "agent": {"expires_at": end.isoformat()},
        "itself": {"token_ttl_seconds": 60},
    }[what]
    key = alice.api.post("/v1/agents", {"name": "x"} | fields).json()["api_key"]
    token = Api().post("/v1/auth/agent-token", {"api_key": key}).json()["access_token"]
    time_machine.move_to(end - timedelta(milliseconds=1), tick=False)
    assert Api(token).get("/v1/agents/me").status_code == 200
    time_machine.move_to(end, tick=False)
    assert Api(token).get("/v1/agents/me").status_code == 401


def test_every_way_to_sign_in_writes_the_same_audit_fields(alice):
    """CVE-2026-46358"""
    agent = alice.api.post("/v1/agents", {"name": "x"}).json()["api_key"]
    User.objects.create_superuser(OPERATOR, PASSWORD)
    AuditEvent.objects.all().delete()
    for good in (True, False):
        spoil = "" if good else "x"
        sign_in("alice@example.com", PASSWORD + spoil)
        Api().post("/v1/auth/api-key-token", {"api_key": alice.raw_key + spoil})
        Api().post("/v1/auth/agent-token", {"api_key": agent + spoil})
        form = {"login": OPERATOR, "password": PASSWORD + spoil}
        Client().post("/accounts/login/", form)
    Api(alice.raw_key + "x").get("/v1/auth/me")
    Api(alice.token + "x").get("/v1/auth/me")
    events = AuditEvent.objects.filter(action__startswith="auth.")
    assert events.count() == 10
    for event in events:
        expected = {"method"} if event.action == "auth.success" else {"method", "reason"}
        assert set(event.details) == expected
        assert event.ip_address == "127.0.0.1"
        assert event.request_id is not None
        assert event.resource_type == "principal"


def test_an_error_never_mints_a_token(alice, unwritable_log):
    """CVE-2026-46405"""
    agent = alice.api.post("/v1/agents", {"name": "x"}).json()["api_key"]
    with unwritable_log():
        responses = (
            sign_in("alice@example.com"),
            Api().post("/v1/auth/api-key-token", {"api_key": alice.raw_key}),
            Api().post("/v1/auth/agent-token", {"api_key": agent}),
        )
    for response in responses:
        assert response.status_code == 500
        assert "access_token" not in response.content.decode()


def test_revoking_a_token_really_ends_it(alice):
    """Published audits of this API family."""
    token = alice.token
    assert Api(token).delete("/v1/auth/token").status_code == 204
    for method, path in [
        ("GET", "/v1/auth/me"),
        ("GET", "/v1/vaults"),
        ("DELETE", "/v1/auth/token"),
    ]:
        assert Api(token).request(method, path).status_code == 401


@pytest.mark.parametrize("mark", ["\0", "\u202e", "\u2066", "\x1b", "\x7f", "\u200b", "\ufeff"])
@pytest.mark.parametrize(
    "where",
    [
        ("POST", "/v1/vaults", "name"),
        ("POST", "/v1/vaults", "description"),
        ("POST", "/v1/agents", "name"),
        ("POST", "/v1/agents", "description"),
        ("POST", "/v1/auth/api-keys", "name"),
        ("PATCH", "/v1/auth/me", "display_name"),
    ],
)
def test_control_and_bidirectional_marks_in_names_are_400_and_leave_no_row(alice, where, mark):
    """Seen in two Django and Python vaults."""
    method, path, field = where
    token = alice.token
    before = stored()
    rest = {"name": "ok"} if field == "description" else {}
    response = Api(token).request(method, path, rest | {field: f"a{mark}b"})
    assert (response.status_code, list(response.json()["errors"])) == (400, [field])
    assert stored() == before


def test_a_denied_read_a_failed_sign_in_and_a_delete_each_leave_an_event(alice, charlie, vault):
    """Seen missing in one of them."""
    alice.api.put(secret_url(vault), body())
    charlie.api.get(secret_url(vault))
    sign_in("alice@example.com", "wrong")
    alice.api.delete(secret_url(vault))
    left = set(AuditEvent.objects.values_list("action", "outcome"))
    assert {
        ("secret.read", "denied"),
        ("auth.failure", "failure"),
        ("secret.delete", "success"),
    } <= left

"""The published attacks on paths, policies and lists (shared list of lessons), a test each or more.
Each is named after its lesson; the id is in the docstring."""

import os
import sys
from datetime import UTC, datetime
from urllib.parse import unquote
from uuid import uuid4

import pytest

from secrets_app.models import AuditEvent, Secret
from secrets_app.policy.decision import Permission, Rule, decide
from secrets_app.policy.scope import scope_of
from tests.cast import Api, allow, body, deny, person, secret_url, vault_of

TRICKS = ["a/./b", "a/../b", "a//b", "a/%2e%2e/b", "a/.%2e/b", "a%2f%2fb", "./a", "a/", "a%5cb"]


_ROUTES = [
    ("GET", "secrets/{}"),
    ("HEAD", "secrets/{}"),
    ("PUT", "secrets/{}"),
    ("DELETE", "secrets/{}"),
    ("DELETE", "secrets/{}?purge=true"),
    ("GET", "secret-versions/{}"),
    ("GET", "secret-version/{}/1"),
    ("HEAD", "secret-version/{}/1"),
    ("POST", "secret-version-disable/{}/1"),
    ("POST", "secret-rotate/{}"),
    ("POST", "secret-undelete/{}"),
    ("GET", "access?permission=read&path={}"),
    ("GET", "secrets?prefix={}"),
]


@pytest.mark.parametrize(
    ("method", "route", "path"),
    [
        (method, route, path)
        for method, route in _ROUTES
        for path in TRICKS
        if (route, path) != ("secrets?prefix={}", "a/")  # the start of a path may end in a slash
    ],
)
def test_dot_and_encoded_segments_never_reach_policy_or_storage(
    alice, bob, vault, method, route, path
):
    """CVE-2026-3605, CVE-2026-105820"""
    # The owner too, whom no policy keeps out.
    for who in (alice, bob):
        allow(who, vault, "a/**", "read", "write", "delete", "rotate")
        content = body() if method == "PUT" else None
        url = f"/v1/vaults/{vault.id}/{route.format(path)}"
        response = who.api.request(method, url, content)
        assert response.status_code == 400
    assert not AuditEvent.objects.filter(action__startswith="secret.").exists()


@pytest.mark.parametrize("path", [*map(unquote, TRICKS), "a/%2e%2e/b", "a%2fb"])
def test_dot_and_encoded_segments_in_bodies_never_reach_policy_or_storage(alice, vault, path):
    """CVE-2026-3605, CVE-2026-105820"""
    base = f"/v1/vaults/{vault.id}"
    grant = {
        "secret_path_pattern": path,
        "principal_type": "user",
        "principal_id": str(alice.principal.id),
        "permissions": ["read"],
    }
    for route, content in [
        ("secrets:batchRead", {"paths": ["a/b", path]}),
        ("secrets:batchWrite", {"secrets": [body() | {"path": each} for each in ("a/b", path)]}),
        ("policies", grant),
    ]:
        assert alice.api.post(f"{base}/{route}", content).status_code == 400
    assert not AuditEvent.objects.filter(action__startswith="secret.").exists()
    assert not Secret.objects.exists()


def test_policy_is_judged_on_the_path_that_storage_uses(alice, bob, vault):
    """CVE-2026-89322"""
    alice.api.put(secret_url(vault, "Prod/key"), body("upper"))
    alice.api.put(secret_url(vault, "prod/key"), body("lower"))
    allow(bob, vault, "Prod/*", "read")
    assert bob.api.get(secret_url(vault, "Prod%2Fkey")).json()["value"] == "upper"
    for path in ("prod/key", "PROD/key", "prod%2Fkey", "Prod%252Fkey"):
        assert bob.api.get(secret_url(vault, path)).status_code in (400, 403)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", ["team/app/key", "team/zoo"]),
        ("prefix=team", ["team/app/key", "team/zoo"]),
        ("prefix=team/", ["team/app/key", "team/zoo"]),
        ("prefix=team/h", []),
        ("prefix=team/hr", []),
        ("prefix=team/hr/", []),
        ("prefix=team/hr/key", []),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_list_never_shows_what_a_narrower_deny_hides(alice, bob, vault, query, shown, limit):
    """CVE-2026-63131"""
    for path in ("team/app/key", "team/hr/key", "team/hr", "team/zoo"):
        alice.api.put(secret_url(vault, path), body())
    allow(bob, vault, "team/**", "read")
    deny(bob, vault, "team/hr/**", "read")
    listed, cursor = [], ""
    while cursor is not None:
        url = f"/v1/vaults/{vault.id}/secrets?limit={limit}&{query}{cursor}"
        page = bob.api.get(url).json()
        listed += [each["path"] for each in page["secrets"]]
        cursor = f"&cursor={page['next_cursor']}" if "next_cursor" in page else None
    assert listed == shown


@pytest.mark.parametrize("pattern", ["a+", "a*", "a/**b", "{id}", "+/a", "a/+", "?", "[a-z]", "%"])
def test_ids_and_names_never_widen_a_pattern(alice, bob, vault, pattern):
    """GHSA-59w7-v8rr-pr4p"""
    fields = {
        "secret_path_pattern": pattern,
        "principal_type": "user",
        "principal_id": str(bob.principal.id),
        "permissions": ["read"],
    }
    assert alice.api.post(f"/v1/vaults/{vault.id}/policies", fields).status_code == 400
    fields |= {"secret_path_pattern": "a", "principal_id": "*"}
    assert alice.api.post(f"/v1/vaults/{vault.id}/policies", fields).status_code == 400


def test_revoking_or_deleting_by_id_checks_the_parent(alice, bob, vault):
    """CVE-2026-40264, CVE-2023-24999"""
    policy = allow(bob, vault, "**", "read")
    mallory = person("mallory")
    own = vault_of(mallory, "own")
    agent = alice.api.post("/v1/agents", {"name": "x"}).json()["agent"]["id"]
    for method, path in [
        ("DELETE", f"/v1/vaults/{own.id}/policies/{policy.id}"),
        ("PUT", f"/v1/vaults/{own.id}/policies/{policy.id}"),
        ("DELETE", f"/v1/auth/api-keys/{alice.key.id}"),
        ("DELETE", f"/v1/agents/{agent}"),
        ("POST", f"/v1/agents/{agent}/rotate-key"),
    ]:
        content = {"effect": "deny"} if method == "PUT" else None
        assert mallory.api.request(method, path, content).status_code == 404
    assert Api(alice.raw_key).get("/v1/auth/me").status_code == 200


def test_query_strings_and_headers_never_change_what_is_judged(alice, bob, vault):
    """CVE-2022-3100"""
    alice.api.put(secret_url(vault, "hidden"), body())
    alice.api.put(secret_url(vault, "open"), body("fine"))
    allow(bob, vault, "open", "read")
    headers = {
        "X-HTTP-Method-Override": "DELETE",
        "X-Original-URL": secret_url(vault, "hidden"),
        "X-Forwarded-Prefix": "/v1/vaults",
        "X-Vault-Id": str(uuid4()),
    }
    for query in ("?path=hidden", "?vault_id=x", "?_method=DELETE", "?format=api"):
        assert bob.api.get(secret_url(vault, "open") + query, headers=headers).status_code == 200
        assert bob.api.get(secret_url(vault, "hidden") + query, headers=headers).status_code == 403


def test_versions_metadata_and_lists_are_judged_like_the_secret(alice, bob, vault):
    """CVE-2022-23451, CVE-2022-23452"""
    alice.api.put(secret_url(vault, "a"), body(metadata={"who": "x"}))
    allow(bob, vault, "b", "read", "write", "delete", "rotate")
    base = f"/v1/vaults/{vault.id}"
    for method, path in [
        ("GET", f"{base}/secret-versions/a"),
        ("GET", f"{base}/secret-version/a/1"),
        ("HEAD", f"{base}/secrets/a"),
        ("POST", f"{base}/secret-version-disable/a/1"),
        ("POST", f"{base}/secret-rotate/a"),
    ]:
        assert bob.api.request(method, path).status_code == 403
    assert bob.api.get(f"{base}/secrets").json() == {"secrets": []}
    answer = bob.api.post(f"{base}/secrets:batchRead", {"paths": ["a"]}).json()
    assert (answer["secrets"], answer["errors"][0]["status"]) == ([], 403)


def test_forwarded_for_and_host_count_only_from_configured_proxies(alice, bob, vault):
    """CVE-2025-49827, CVE-2025-49831. e2e/test_forged_addresses.py: by real proxies, in all spellings."""
    alice.api.put(secret_url(vault), body())
    allow(bob, vault, "**", "read", conditions={"ip_allowlist": ["192.0.2.0/24"]})
    forged = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Host": "evil.example.com"}
    assert bob.api.get(secret_url(vault), headers=forged).status_code == 403
    assert Api().get("/v1/health", HTTP_HOST="evil.example.com").status_code == 400
    answer = Api().get("/.well-known/openid-configuration", headers=forged).json()
    assert "evil" not in answer["jwks_uri"]


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "99999999999", "1e9", "", "NaN", "٣"])
def test_no_limit_lifts_the_cap_of_a_page(alice, vault, limit):
    """An OpenBao fix without an id."""
    alice.api.put(secret_url(vault, "a"), body())
    base = f"/v1/vaults/{vault.id}"
    for url in (f"{base}/secrets", f"{base}/secret-versions/a", "/v1/audit/events"):
        assert alice.api.get(f"{url}?limit={limit}").status_code == 400, url


def _steps(action):
    """How many lines of Python the policy package runs."""
    count = 0

    def on_line(frame, event, _):
        nonlocal count
        count += event == "line"
        return on_line

    def on_call(frame, event, _):
        return on_line if f"{os.sep}policy{os.sep}" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        action()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.no_cover
def test_no_pattern_makes_a_decision_take_more_than_a_pass_over_pattern_and_path():
    """Matching that tries a pattern at each segment of a path took 15 ms for one policy."""
    path = "a/" * 255 + "a"
    ask = {"path": path, "permission": Permission.READ, "address": None, "now": datetime.now(UTC)}
    for ends in (["b"], ["b", "**"], ["*", "b", "**", "c"]):
        patterns = ["/".join(["**", *"a" * (200 - n), *ends]) for n in range(40)]
        rules = [Rule(uuid4(), each, ("read",), "deny", None, None) for each in patterns]
        scope = scope_of(is_owner=False, rules=rules, **{k: ask[k] for k in list(ask)[1:]})
        scope.covers(path)  # compiles
        assert _steps(lambda s=scope: s.covers(path)) < 20 * 256
        segments = sum(each.count("/") + 2 for each in patterns)
        assert _steps(lambda r=rules: decide(is_owner=False, rules=r, **ask)) < (
            20 * (segments + 256)
        )

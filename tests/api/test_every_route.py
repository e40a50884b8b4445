"""What must hold for each route there is, read from the URL configuration itself."""

import re
from uuid import uuid4

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from secrets_app.api.permissions import Access
from secrets_app.policy.decision import Permission
from tests.cast import Api, vault_of

PUBLIC = {
    ("GET", "/v1/openapi.json"),
    ("GET", "/v1/health"),
    ("GET", "/v1/health/hsm"),
    ("POST", "/v1/auth/token"),
    ("POST", "/v1/auth/api-key-token"),
    ("POST", "/v1/auth/agent-token"),
    ("POST", "/v1/auth/mfa/verify"),
    ("POST", "/v1/auth/passkeys/assert/begin"),
    ("POST", "/v1/auth/passkeys/assert/complete"),
    ("POST", "/v1/auth/refresh"),
    ("POST", "/v1/auth/device/code"),
    ("POST", "/v1/auth/device/token"),
    ("GET", "/v1/auth/jwt-public-key"),
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/.well-known/openid-configuration"),
}


def endpoints(patterns=None, prefix=""):
    """Each (route, view class, method, action) of the API."""
    for entry in (
        get_resolver("secrets_app.api.urls").url_patterns if patterns is None else patterns
    ):
        route = prefix + str(entry.pattern).lstrip("^")
        if isinstance(entry, URLResolver):
            yield from endpoints(entry.url_patterns, route)
        elif isinstance(entry, URLPattern) and entry.name != "unknown":
            view = entry.callback.cls
            for method, action in getattr(entry.callback, "actions", {"get": "get"}).items():
                yield "/" + route, view, method.upper(), action


def url(route, vault_id):
    route = route.removesuffix(r"\Z")
    route = re.sub(r"\(\?P<vault_id>[^)]*\)|<vault_id>", str(vault_id), route)
    route = re.sub(r"\(\?P<path>.*?\*\)(\\Z)?", "some/path", route)
    route = re.sub(r"\(\?P<number>[^)]*\)(\\Z)?", "1", route)
    for name in ("<item_id>", "<agent_id>"):
        route = route.replace(name, str(uuid4()))
    assert "<" not in route, f"teach this test to fill in {route}"
    return route


ENDPOINTS = list(endpoints())
JUDGED = [e for e in ENDPOINTS if (e[2], e[0]) not in PUBLIC]
IN_VAULT = [e for e in JUDGED if "vault_id" in e[0]]
# Explains to anybody why they may do nothing; about others it is for the owner, tested where it is.
SELF_EXPLAINING = "/v1/vaults/<vault_id>/access"
REFUSING = [e for e in IN_VAULT if e[0] != SELF_EXPLAINING]


def names(cases):
    return [f"{method} {route}" for route, _, method, _ in cases]


def test_there_are_routes_to_test():
    assert len(ENDPOINTS) >= 20
    assert len(IN_VAULT) >= 15


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=names(ENDPOINTS))
def test_every_action_declares_who_may_use_it(endpoint):
    route, view, method, action = endpoint
    if route == "/v1/openapi.json":
        return
    rule = view.access[action]
    assert isinstance(rule, (Access, Permission))
    assert (rule is Access.PUBLIC) is ((method, route) in PUBLIC)


@pytest.mark.parametrize("endpoint", JUDGED, ids=names(JUDGED))
def test_without_a_credential_every_other_route_is_401(endpoint, nobody, vault):
    route, _, method, _ = endpoint
    assert nobody.request(method, url(route, vault.id)).status_code == 401


@pytest.mark.parametrize("endpoint", REFUSING, ids=names(REFUSING))
def test_somebody_without_a_policy_is_refused_in_every_vault_route(endpoint, vault, charlie):
    route, _, method, _ = endpoint
    response = charlie.api.request(method, url(route, vault.id), {} if method == "PUT" else None)
    assert response.status_code == 403


@pytest.mark.parametrize("endpoint", REFUSING, ids=names(REFUSING))
def test_a_policy_or_ownership_in_one_vault_counts_nothing_in_another(
    endpoint, vault, charlie, bob
):
    from tests.cast import allow

    own = vault_of(charlie, "own")
    bobs = vault_of(bob, "bobs")
    allow(charlie, bobs, "**", "read", "write", "delete", "rotate")
    route, _, method, _ = endpoint
    assert charlie.api.request(method, url(route, vault.id)).status_code == 403
    assert charlie.api.request(method, url(route, own.id)).status_code not in (401, 403)


@pytest.mark.parametrize("endpoint", IN_VAULT, ids=names(IN_VAULT))
def test_an_unknown_vault_is_404_and_a_malformed_id_400(endpoint, alice):
    route, _, method, _ = endpoint
    assert alice.api.request(method, url(route, uuid4())).status_code == 404
    assert alice.api.request(method, url(route, "not-a-uuid")).status_code == 400


def test_an_action_that_declares_nothing_is_refused(alice, vault, monkeypatch):
    from secrets_app.api.views.secrets import SecretViewSet

    monkeypatch.setattr(SecretViewSet, "access", {})
    response = Api(alice.token).get(f"/v1/vaults/{vault.id}/secrets/a")
    assert response.status_code == 403

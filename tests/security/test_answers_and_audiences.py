"""What an attacker found, issue 14, point 15: tokens for others, answers a browser might use, `next`."""

import jwt
import pytest
from django.test import Client

from secrets_app.services.identity.signing_keys import key_set
from tests.cast import PASSWORD, Api, body, secret_url
from vaultsite.accounts.models import User

POLICY = "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize("audience", ["another-service", ["another-service", "vaultsite"], "", []])
def test_a_token_for_another_audience_is_refused_however_well_it_is_signed(alice, audience):
    claims = jwt.decode(alice.token, options={"verify_signature": False})
    assert "aud" not in claims
    assert Api(key_set().encode(claims)).get("/v1/auth/me").status_code == 200
    for_others = key_set().encode(claims | {"jti": "other", "aud": audience})
    assert Api(for_others).get("/v1/auth/me").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/auth/me", 200),
        ("GET", "/v1/openapi.json", 200),
        ("GET", "/v1/health", 200),
        ("GET", "/.well-known/jwks.json", 200),
        ("OPTIONS", "/v1/vaults", 204),
        ("GET", "/v1/no/such/route", 404),
        ("GET", "/v1", 404),
        ("GET", "/v1/vaults/x", 400),
        ("DELETE", "/v1/vaults", 405),
        ("BREW", "/v1/vaults", 405),
        ("POST", "/v1/vaults", 400),
    ],
)
def test_every_answer_of_the_api_is_nothing_to_a_browser(alice, method, path, status):
    answer = alice.api.request(method, path)
    assert (answer.status_code, answer["Content-Security-Policy"]) == (status, POLICY)


def test_so_are_a_value_a_refusal_and_what_fails_before_a_view(alice, charlie, vault, settings):
    url = secret_url(vault)
    answers = [alice.api.put(url, body()), alice.api.get(url), charlie.api.get(url), Api().get(url)]
    answers.append(alice.api.request("HEAD", url))
    answers.append(Api().get(url, headers={"Host": "elsewhere.example"}))
    assert [each.status_code for each in answers] == [201, 200, 403, 401, 200, 400]
    assert {each["Content-Security-Policy"] for each in answers} == {POLICY}


def test_a_failure_inside_has_the_policy_too(alice, monkeypatch):
    def fail(**_):
        raise RuntimeError

    monkeypatch.setattr("secrets_app.api.views.vaults.list_vaults", fail)
    answer = alice.api.get("/v1/vaults")
    assert (answer.status_code, answer["Content-Security-Policy"]) == (500, POLICY)


def test_pages_keep_their_own_policy(db):
    for path in ("/", "/accounts/login/"):
        policy = Client().get(path)["Content-Security-Policy"]
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
    assert "'unsafe-eval'" in Client().get("/docs")["Content-Security-Policy"]


@pytest.mark.parametrize(
    "target",
    [
        "https://elsewhere.example/",
        "//elsewhere.example/",
        "///elsewhere.example/",
        "/\\elsewhere.example/",
        "\\\\elsewhere.example/",
        "http:/elsewhere.example",
        "https://testserver/admin/",
        "//testserver/admin/",
        "/admin/\r\nSet-Cookie: a=b",
        "/\t/elsewhere.example",
        " /admin/auth/",
        "/admin/login/",
        "/accounts/login/",
        "/accounts/logout/",
        "/vault/v1/sys/health",
        "/" + "a" * 10_000,
        "javascript:alert(1)",
        "/accounts/profile/",
        "/no/such/page",
        "/admin/no/such/page",
        "/v1/vaults",
        "/admin/logout/",
        "",
    ],
)
def test_a_sign_in_ends_at_the_overview_where_next_is_no_page_of_ours(db, target):
    User.objects.create_superuser("root@example.com", PASSWORD)
    client = Client()
    sent = {"login": "root@example.com", "password": PASSWORD, "next": target}
    answer = client.post("/accounts/login/", sent)
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")
    # Nor where somebody is signed in already, or asks the admin.
    for page in ("/accounts/login/", "/admin/login/"):
        assert client.get(page, {"next": target})["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize("target", ["/admin/secrets_app/vault/?q=a", "/accounts/2fa/"])
def test_a_sign_in_goes_on_to_the_page_that_was_asked_for(db, target):
    User.objects.create_superuser("root@example.com", PASSWORD)
    sent = {"login": "root@example.com", "password": PASSWORD, "next": target}
    answer = Client().post("/accounts/login/", sent)
    assert (answer.status_code, answer["Location"]) == (302, target)

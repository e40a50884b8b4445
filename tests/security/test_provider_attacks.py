"""Attacks on signing in by OpenID Connect providers: forged tokens, mixed-up issuers, foreign browsers."""

import base64
import hashlib
import hmac
import json
from contextlib import ExitStack
from datetime import timedelta
from urllib.parse import quote

import jwt
import pytest
import time_machine
from allauth.socialaccount.models import SocialAccount
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core import signing
from django.test import Client
from django.utils import timezone
from jwt.algorithms import RSAAlgorithm

from secrets_app.models import AuditEvent
from tests.cast import PASSWORD
from tests.oidc.browser import begin, moves_to, sign_in
from tests.oidc.conftest import (  # noqa: F401
    _asked_anew,
    _other,
    _provider,
    other,
    provider,
)
from tests.oidc.scripted import (
    CLIENT_ID,
    CLIENT_SECRET,
    EC,
    ED,
    KEYS,
    OTHER_RSA,
    RSA,
    segment,
    signed,
)
from vaultsite.accounts.models import User
from vaultsite.oidc.endpoints import one_of_few
from vaultsite.oidc.providers import find_provider

CANARY = "<b>canary-7f3a</b>"


@pytest.fixture
def dora(db):
    """Whom every token here is about."""
    return User.objects.create_user("dora@example.com", PASSWORD)


@pytest.fixture(autouse=True)
def _linked(dora, provider):  # noqa: F811
    SocialAccount.objects.create(user=dora, provider=provider.issuer, uid="0001")


def is_signed_in(client):
    return client.get("/accounts/").status_code == 200


def refused(answer, client, reason):
    """Nobody is in, the page tells nothing of why, and the event does."""
    assert answer.status_code in (400, 403, 503), answer.content
    assert answer.headers["Cache-Control"].count("no-store")
    assert not is_signed_in(client)
    event = AuditEvent.objects.order_by("-id").first()
    assert (event.action, event.outcome) == ("auth.failure", "failure")
    assert event.details == {"method": "oidc_corp", "reason": reason}
    assert reason not in answer.content.decode()
    return answer.content.decode()


def forged(header, claims, sign=lambda _: b""):
    text = f"{segment(header)}.{segment(claims)}"
    return f"{text}.{base64.urlsafe_b64encode(sign(text.encode())).decode().rstrip('=')}"


def hs256(claims, key):
    return forged(
        {"alg": "HS256", "kid": "rsa"}, claims, lambda text: hmac.digest(key, text, "sha256")
    )


PUBLIC_PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
OWN_JWK = RSAAlgorithm.to_jwk(OTHER_RSA.public_key(), as_dict=True)

TOKENS = {
    "none": (lambda c: forged({"alg": "none"}, c), "algorithm_not_allowed"),
    "None": (lambda c: forged({"alg": "None", "kid": "rsa"}, c), "algorithm_not_allowed"),
    "hs256_client_secret": (lambda c: hs256(c, CLIENT_SECRET.encode()), "algorithm_not_allowed"),
    "hs256_public_key": (lambda c: hs256(c, PUBLIC_PEM), "algorithm_not_allowed"),
    "unsigned_rs256": (lambda c: forged({"alg": "RS256", "kid": "rsa"}, c), "wrong_signature"),
    "other_key": (lambda c: signed(c, OTHER_RSA), "wrong_signature"),
    "key_in_header": (lambda c: signed(c, OTHER_RSA, jwk=OWN_JWK), "wrong_signature"),
    "key_by_url": (
        lambda c: signed(c, OTHER_RSA, kid="x", jku="https://127.0.0.1:1/"),
        "unknown_key",
    ),
    "kid_of_other_type": (lambda c: signed(c, kid="ec"), "unknown_key"),
    "kid_is_path": (lambda c: signed(c, OTHER_RSA, kid="../../dev/null"), "unknown_key"),
    "critical_extension": (lambda c: signed(c, crit=["x"], x=1), "unknown_extension"),
    "no_jwt": (lambda c: "a.b", "malformed_assertion"),
    "huge": (lambda c: signed(c | {"x": "x" * 20_000}), "malformed_assertion"),
}


@pytest.mark.parametrize("name", TOKENS)
def test_a_forged_id_token_is_refused(provider, name):  # noqa: F811
    token, reason = TOKENS[name]
    begun, answer = sign_in(provider, token=token)
    refused(answer, begun.client, reason)


NOW = 2_000_000_000
CLAIMS = {
    "other_nonce": ({"nonce": "n" * 43}, "bad_nonce"),
    "no_nonce": ({"nonce": None}, "bad_nonce"),
    "nonce_list": ({"nonce": ["n"]}, "bad_nonce"),
    "other_audience": ({"aud": "another"}, "other_audience"),
    "no_audience": ({"aud": None}, "other_audience"),
    "audience_prefix": ({"aud": CLIENT_ID + "x"}, "other_audience"),
    "audiences_without_azp": ({"aud": [CLIENT_ID, "another"]}, "other_party"),
    "audiences_of_another": ({"aud": [CLIENT_ID, "another"], "azp": "another"}, "other_party"),
    "many_audiences": ({"aud": [CLIENT_ID] * 11, "azp": CLIENT_ID}, "other_audience"),
    "other_party": ({"azp": "another"}, "other_party"),
    "other_issuer": ({"iss": "https://evil.example"}, "other_issuer"),
    "issuer_with_slash": ({"iss": "/"}, "other_issuer"),
    "no_issuer": ({"iss": None}, "no_issuer"),
    "expired": ({"exp": NOW - 1}, "expired_assertion"),
    "no_expiry": ({"exp": None}, "no_expiry"),
    "issued_later": ({"iat": NOW + 300, "exp": NOW + 600}, "not_yet_valid"),
    "not_before": ({"nbf": NOW + 300}, "not_yet_valid"),
    "no_issue_time": ({"iat": None}, "no_issue_time"),
    "no_subject": ({"sub": None}, "bad_subject"),
    "empty_subject": ({"sub": ""}, "bad_subject"),
    "huge_subject": ({"sub": "1" * 192}, "bad_subject"),
    "unicode_subject": ({"sub": "\uff10\uff10\uff10\uff11"}, "bad_subject"),
    "padded_subject": ({"sub": "0001 "}, "bad_subject"),
    "subject_list": ({"sub": ["0001"]}, "bad_subject"),
    "subject_number": ({"sub": 1}, "bad_subject"),
}


def raw_signed(claims):
    """As PyJWT would not sign it: it refuses what is malformed."""
    return jwt.api_jws.encode(
        json.dumps(claims).encode(), RSA, algorithm="RS256", headers={"kid": "rsa", "typ": "JWT"}
    )


@pytest.mark.parametrize("name", CLAIMS)
def test_a_token_that_is_not_for_this_sign_in_is_refused(provider, name):  # noqa: F811
    claims, reason = CLAIMS[name]
    with time_machine.travel(NOW, tick=False):
        begun, answer = sign_in(provider, token=raw_signed, **claims)
        refused(answer, begun.client, reason)


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [(RSA, "RS256", "rsa"), (RSA, "PS256", "rsa"), (EC, "ES256", "ec"), (ED, "EdDSA", "ed")],
)
def test_what_the_refused_differ_from_is_taken(provider, dora, key, algorithm, kid):  # noqa: F811
    begun, answer = sign_in(provider, token=lambda c: signed(c, key, algorithm, kid=kid))
    moves_to(answer)
    assert begun.client.get("/accounts/").context["user"] == dora


def test_several_audiences_are_taken_where_the_token_was_issued_to_us(provider):  # noqa: F811
    begun, _ = sign_in(provider, aud=[CLIENT_ID, "another"], azp=CLIENT_ID)
    assert is_signed_in(begun.client)


def test_an_algorithm_that_the_provider_does_not_use_is_refused(provider):  # noqa: F811
    provider.discovery["id_token_signing_alg_values_supported"] = ["ES256"]
    begun, answer = sign_in(provider)
    refused(answer, begun.client, "algorithm_not_allowed")


def test_keys_of_another_issuer_do_not_count(provider, other):  # noqa: F811
    """A provider that has the same key id as another signs for itself alone."""
    other.keys = [RSAAlgorithm.to_jwk(OTHER_RSA.public_key(), as_dict=True) | {"kid": "rsa"}]
    begun, answer = sign_in(provider, token=lambda c: signed(c, OTHER_RSA))
    refused(answer, begun.client, "wrong_signature")


def test_login_csrf_an_answer_for_another_browser_is_refused(provider):  # noqa: F811
    """Somebody sends a victim the address that their own sign-in came back with."""
    begun = begin()
    token = signed(provider.claims(begun.nonce))
    provider.codes["a-code"] = (token, begun.asked["code_challenge"])
    victim = Client(raise_request_exception=False)
    refused(begun.come_back(victim, code="a-code"), victim, "no_flow")
    # With an attempt of the victim's own under way, too.
    begin(victim)
    refused(begun.come_back(victim, code="a-code"), victim, "no_flow")
    assert "/token" not in provider.asked


def test_code_injection_a_code_of_another_sign_in_is_refused(provider):  # noqa: F811
    """The thief has somebody's code, and a browser with an attempt of their own: PKCE tells."""
    victim, thief = begin(), begin()
    token = signed(provider.claims(victim.nonce))
    provider.codes["stolen"] = (token, victim.asked["code_challenge"])
    refused(thief.come_back(code="stolen"), thief.client, "code_refused")


def test_code_injection_at_a_provider_without_pkce_fails_by_the_nonce(provider):  # noqa: F811
    victim, thief = begin(), begin()
    token = signed(provider.claims(victim.nonce))
    provider.codes["stolen"] = (token, thief.asked["code_challenge"])
    refused(thief.come_back(code="stolen"), thief.client, "bad_nonce")


def test_an_answer_is_taken_once(provider):  # noqa: F811
    begun = begin()
    cookies = {name: morsel.value for name, morsel in begun.client.cookies.items()}
    entry = (signed(provider.claims(begun.nonce)), begun.asked["code_challenge"])
    provider.codes["a-code"] = entry
    moves_to(begun.come_back(code="a-code"))
    provider.codes["a-code"] = entry
    thief = Client(raise_request_exception=False)
    thief.cookies.load({k: v for k, v in cookies.items() if k.startswith("oidc-")})
    refused(begun.come_back(thief, code="a-code"), thief, "state_used")


def test_a_failed_answer_spends_the_state_too(provider):  # noqa: F811
    begun = begin()
    cookies = {k: m.value for k, m in begun.client.cookies.items() if k.startswith("oidc-")}
    refused(begun.come_back(code="guess"), begun.client, "code_refused")
    begun.client.cookies.load(cookies)
    refused(begun.come_back(code="guess"), begun.client, "state_used")


@pytest.mark.parametrize(
    "query",
    [
        "code=c",
        "state=&code=c",
        "state=%00&code=c",
        "state={s}&state={s}&code=c",
        # As long as a right one, and no possible name of a cookie.
        *(f"state={each * 43}&code=c" for each in ("%00", "%0A", "%3B", "%20", "%C3%A9")),
    ],
)
def test_without_one_right_state_nothing_is_asked(provider, query):  # noqa: F811
    begun = begin()
    path = "/accounts/oidc/corp/callback/?" + query.format(s=begun.state)
    refused(begun.client.get(path), begun.client, "no_flow")
    assert "/token" not in provider.asked


def test_a_cookie_made_by_somebody_else_is_no_attempt(provider):  # noqa: F811
    begun = begin()
    name = next(key for key in begun.client.cookies if key.startswith("oidc-"))
    kept = {"p": "corp", "i": provider.issuer, "s": "known", "n": "", "v": ""}
    begun.client.cookies[name] = signing.dumps(kept, key="another key", salt="vaultsite.oidc.flow")
    refused(begun.come_back(code="c"), begun.client, "no_flow")


def test_an_attempt_lasts_ten_minutes(provider):  # noqa: F811
    begun = begin()
    provider.codes["a-code"] = (signed(provider.claims(begun.nonce)), begun.asked["code_challenge"])
    with time_machine.travel(timezone.now() + timedelta(seconds=601)):
        page = refused(begun.come_back(code="a-code"), begun.client, "no_flow")
    assert "Begin again" in page


def test_mix_up_the_answer_of_another_provider_is_refused(provider, other):  # noqa: F811
    """A victim begins at an evil provider, which sends them on to a good one (RFC 9207, 1)."""
    begun = begin(provider_id="other")
    provider.codes["good"] = (signed(provider.claims(begun.nonce)), begun.asked["code_challenge"])
    begun.provider_id = "corp"
    refused(begun.come_back(code="good"), begun.client, "other_provider")
    begun = begin()
    refused(begun.come_back(code="good", iss=other.issuer), begun.client, "other_issuer")
    assert "/token" not in provider.asked + other.asked


def test_an_issuer_that_is_promised_must_be_there(provider):  # noqa: F811
    provider.discovery["authorization_response_iss_parameter_supported"] = True
    begun = begin()
    refused(begun.come_back(code="c"), begun.client, "other_issuer")
    begun = begin()
    provider.codes["a-code"] = (signed(provider.claims(begun.nonce)), begun.asked["code_challenge"])
    moves_to(begun.come_back(code="a-code", iss=provider.issuer))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("access_denied", "access_denied"),
        ("temporarily_unavailable", "temporarily_unavailable"),
        (CANARY, "provider_error"),
        ("", "provider_error"),
    ],
)
def test_what_a_provider_says_is_never_shown(provider, caplog, error, reason):  # noqa: F811
    begun = begin()
    answer = begun.come_back(
        error=error, error_description=CANARY, error_uri="https://evil.example"
    )
    page = refused(answer, begun.client, reason)
    for told in (page, caplog.text):
        assert "canary" not in told
        assert "evil.example" not in told


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/accounts/../\\/evil.example",
        "javascript:alert(1)",
        "/accounts/logout/",
        "/v1/vaults",
        "/nowhere\r\nX: y",
        "/accounts/?" + "x" * 2000,
    ],
)
def test_no_open_redirect_by_next(provider, target):  # noqa: F811
    _, answer = sign_in(provider, form={"next": target})
    assert moves_to(answer) == "/accounts/"


def test_a_sign_in_is_begun_by_our_own_form_alone(provider):  # noqa: F811
    strict = Client(enforce_csrf_checks=True, raise_request_exception=False)
    assert strict.post("/accounts/oidc/corp/start/").status_code == 403
    assert strict.get("/accounts/oidc/corp/start/").status_code == 405
    assert provider.asked == []


def test_the_attempts_cookie_is_bound_and_the_sessions_stays_strict(provider, settings):  # noqa: F811
    settings.SESSION_COOKIE_SECURE = True
    begun = begin(Client(raise_request_exception=False))
    names = [name for name in begun.client.cookies if "oidc-" in name]
    assert [name[:12] for name in names] == ["__Host-oidc-"]
    cookie = begun.client.cookies[names[0]]
    assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("Lax", "/", "")
    assert cookie["secure"] is True
    assert cookie["httponly"] is True
    for secret in (begun.nonce, begun.state):
        assert secret not in cookie.value
    provider.codes["a-code"] = (signed(provider.claims(begun.nonce)), begun.asked["code_challenge"])
    answer = begun.come_back(code="a-code")
    assert answer.cookies["sessionid"]["samesite"] == "Strict"
    assert answer.cookies[names[0]].value == ""


@pytest.mark.parametrize("letter", ["x", '"', "é", "\U0001f600"])
def test_no_next_makes_a_cookie_that_browsers_drop(provider, letter):  # noqa: F811
    """A link to the sign-in page with such a `next` would keep its reader out."""
    begun = begin(next="/accounts/?" + letter * 1000)
    for name, cookie in begun.client.cookies.items():
        assert len(f"{name}={cookie.value}") <= 4096
    _, answer = sign_in(provider, form={"next": "/accounts/?" + letter})
    assert moves_to(answer) == "/accounts/?" + quote(letter)


def test_a_jwks_of_ten_megabytes_is_not_read(provider):  # noqa: F811
    provider.raw["/jwks"] = (200, json.dumps({"keys": KEYS, "x": "x" * 10_000_000}).encode())
    begun, answer = sign_in(provider)
    refused(answer, begun.client, "provider_unavailable")


def test_a_redirect_of_a_provider_is_not_followed(provider):  # noqa: F811
    provider.raw["/token"] = (302, b"")
    begun, answer = sign_in(provider)
    refused(answer, begun.client, "provider_unavailable")


def test_few_wait_for_a_slow_provider(provider, other):  # noqa: F811
    """The ninth is refused at once, so that a provider that hangs takes no thread of the API, and none of
    those who come by another provider.
    """
    slow = find_provider("corp")
    with ExitStack() as waiting:
        for _ in range(8):
            waiting.enter_context(one_of_few(slow))
        assert Client().post("/accounts/oidc/corp/start/").status_code == 503
        assert provider.asked == []
        assert Client().post("/accounts/oidc/other/start/").status_code == 200
    assert Client().post("/accounts/oidc/corp/start/").status_code == 200


def test_a_discovery_document_of_another_issuer_is_refused(provider):  # noqa: F811
    provider.discovery["issuer"] = "https://evil.example"
    answer = Client().post("/accounts/oidc/corp/start/")
    assert answer.status_code == 403
    assert AuditEvent.objects.get().details["reason"] == "bad_discovery"


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize("url", ["http://127.0.0.1/", "javascript:alert(1)", None, 7])
def test_endpoints_are_https(provider, name, url):  # noqa: F811
    provider.discovery[name] = url
    assert Client().post("/accounts/oidc/corp/start/").status_code == 403
    assert AuditEvent.objects.get().details["reason"] == "bad_discovery"


def test_a_wrong_client_secret_is_told_to_operators_alone(provider, monkeypatch, caplog):  # noqa: F811
    monkeypatch.setenv("SCRIPTED_SECRET", "wrong-secret-canary")
    begun, answer = sign_in(provider)
    page = refused(answer, begun.client, "client_refused")
    assert "canary" not in page + caplog.text


def test_somebody_who_is_switched_off_is_refused_and_gone_at_once(provider, dora):  # noqa: F811
    begun, _ = sign_in(provider)
    assert is_signed_in(begun.client)
    User.objects.filter(pk=dora.pk).update(is_active=False)
    assert not is_signed_in(begun.client)
    begun, answer = sign_in(provider)
    assert "switched off" in refused(answer, begun.client, "inactive")


def test_the_verifier_is_the_providers_to_check_and_never_in_the_browser(provider):  # noqa: F811
    begun = begin()
    verifier_digest = begun.asked["code_challenge"]
    seen = begun.answer.content.decode() + str(begun.client.cookies)
    candidates = set(seen.replace('"', " ").replace("=", " ").split())
    for text in candidates:
        digest = hashlib.sha256(text.encode()).digest()
        assert base64.urlsafe_b64encode(digest).decode().rstrip("=") != verifier_digest

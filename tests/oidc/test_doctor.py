"""`manage.py doctor` asks each provider, and says what to do."""

import json

import pytest

from tests.management.test_doctor import examine
from tests.oidc.scripted import KEYS


def found(status):
    findings, _ = examine()
    about = [each for each in findings if each["about"] == "provider corp"]
    told = [each for each in about if each["status"] == status]
    assert told, about
    assert status == "ok" or all(each["advice"] for each in told)
    return " ".join(each["said"] for each in told)


@pytest.fixture(autouse=True)
def _ready(alice):
    """With an audit key."""


def test_a_provider_that_works(provider):
    said = found("ok")
    assert "signs with one of 3 keys" in said
    assert "its clock runs with ours" in said


def test_a_real_provider_works(real_provider):
    assert "signs with one of 1 keys" in found("ok")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"issuer": "https://evil.example"}, "another issuer"),
        ({"token_endpoint": "http://127.0.0.1/token"}, "not https"),
        ({"id_token_signing_alg_values_supported": ["HS256", "none"]}, "signs with none"),
        ({"code_challenge_methods_supported": ["plain"]}, "PKCE"),
    ],
)
def test_a_discovery_document_that_is_wrong(provider, change, said):
    provider.discovery |= change
    assert said in found("failure")


def test_no_discovery_document(provider):
    provider.raw["/.well-known/openid-configuration"] = (404, b"")
    assert "no discovery document" in found("failure")


def test_no_usable_key(provider):
    provider.keys = [{"kty": "oct", "k": "AA"}]
    assert "None of its keys" in found("failure")
    provider.raw["/jwks"] = (200, json.dumps({"keys": KEYS}).encode()[:-9])
    assert "None of its keys" in found("failure")


def test_a_clock_that_is_wrong(provider):
    provider.clock_s = -20
    assert "differs by -2" in found("warning")
    provider.clock_s = 90
    assert "differs by +" in found("failure")


def test_a_certificate_of_another_authority(provider, other, settings):
    variables = {**settings.OIDC_VARIABLES}
    variables["OIDC_CORP_CA_FILE"] = variables["OIDC_OTHER_CA_FILE"]
    settings.OIDC_VARIABLES = variables
    assert "certificate" in found("failure")


def test_a_client_secret_that_is_not_there(provider, monkeypatch):
    monkeypatch.delenv("SCRIPTED_SECRET")
    assert "env:SCRIPTED_SECRET is missing" in found("failure")

"""What is wrong with the settings of a provider is told at the start, and never shows a secret."""

import pytest
from django.core import checks

from vaultsite.oidc.providers import providers

GOOD = {"OIDC_CORP_ISSUER": "https://login.example.com", "OIDC_CORP_CLIENT_ID": "vaultsite"}


def problems(settings, ids=("corp",), **variables):
    settings.OIDC_PROVIDERS = list(ids)
    settings.OIDC_VARIABLES = GOOD | variables
    found = checks.run_checks(tags=["secrets_app"])
    return [each.msg for each in found if each.id == "vaultsite.E001"]


def test_a_provider_needs_little(settings):
    assert problems(settings) == []
    (corp,) = providers()
    assert (corp.id, corp.name, corp.scopes) == ("corp", "corp", ("openid", "email", "profile"))
    assert (corp.provisions, corp.has_second_factor, corp.trusted_domains) == (
        False,
        False,
        frozenset(),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ISSUER", ""),
        ("ISSUER", "http://login.example.com"),
        ("ISSUER", "https://login.example.com?x=1"),
        ("ISSUER", "https://u:p@login.example.com"),
        ("ISSUER", "https://" + "x" * 200),
        ("CLIENT_ID", ""),
        ("CLIENT_SECRET", "the-secret-itself"),
        ("SCOPES", "email profile"),
        ("CA_FILE", "ca.pem"),
        ("CA_FILE", "/nowhere/ca.pem"),
        ("TRUSTED_DOMAINS", "*"),
        ("TRUSTED_DOMAINS", "@example.com"),
        ("TRUSTED_DOMAINS", "com"),
        ("PROVISION", "on"),
        ("PROVISION", "perhaps"),
        ("REQUIRED_CLAIMS", "hd"),
        ("SECOND_FACTOR", "off"),
        ("GROUP_MAP", "a=b"),
        ("GROUP_PREFIX", "corp-"),
        ("NAME", "x" * 61),
        ("TRUSTED_DOMAIN", "example.com"),
    ],
)
def test_what_is_malformed_is_named(settings, name, value):
    found = problems(settings, **{f"OIDC_CORP_{name}": value})
    assert found
    assert f"OIDC_CORP_{name}" in found[0]
    assert "secret-itself" not in str(found)


@pytest.mark.parametrize("ids", [("Corp",), ("co-rp",), ("corp", "corp"), ("",), ("../x",)])
def test_names_of_providers_are_plain(settings, ids):
    assert problems(settings, ids)


def test_variables_of_a_provider_that_is_not_named_are_told(settings):
    assert problems(settings, OIDC_OTHER_ISSUER="https://x.example.com")


def test_two_names_for_the_same_client_are_refused(settings):
    again = {name.replace("CORP", "TWO"): value for name, value in GOOD.items()}
    assert problems(settings, ("corp", "two"), **again)


def test_passwords_off_without_a_provider_is_warned_of(settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"PASSWORD_SIGN_IN": False}
    settings.OIDC_PROVIDERS, settings.OIDC_VARIABLES = [], {}
    assert "vaultsite.W002" in {each.id for each in checks.run_checks(tags=["secrets_app"])}

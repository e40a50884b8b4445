import time

import pytest

from secrets_app.errors import ConfigurationError, ProviderError, ProviderUnavailable
from secrets_app.keys import build_provider
from secrets_app.providers.hcvault import from_url

CONTEXT = b"context"


@pytest.fixture
def new_token(openbao):
    """Makes tokens in the file, and puts the first one back."""
    before = openbao.token_file.read_text()
    yield openbao.new_token
    openbao.token_file.write_text(before)


def test_a_token_is_renewed_before_it_ends(openbao, new_token):
    token = new_token(ttl="4s")
    provider = from_url(openbao.url, timeout_s=5)
    provider.check_health()
    accessor = openbao.admin.auth.token.lookup(token)["data"]["accessor"]
    # Far longer than it was made for, and nobody asks the provider for anything meanwhile.
    time.sleep(7)
    openbao.admin.auth.token.lookup_accessor(accessor)  # raises for one that has ended
    provider.check_health()


def test_a_token_that_was_replaced_in_its_file_is_taken_up(openbao, new_token):
    first = new_token(ttl="1h")
    provider = build_provider(openbao.url)
    blob = provider.wrap(b"k" * 32, CONTEXT)
    openbao.admin.auth.token.revoke(first)
    with pytest.raises(ProviderError, match="refused the token"):
        provider.unwrap(provider.active_key_id, blob, CONTEXT)
    new_token(ttl="1h")
    assert provider.unwrap(provider.active_key_id, blob, CONTEXT) == b"k" * 32


def test_a_token_file_that_comes_later_is_taken_up(openbao, new_token, tmp_path):
    url = openbao.url.replace(str(openbao.token_file), str(tmp_path / "later"))
    provider = build_provider(url)
    with pytest.raises(ProviderError, match="missing or unreadable"):
        provider.check_health()
    (tmp_path / "later").write_text(openbao.token_file.read_text())
    provider.check_health()


def test_a_sealed_server_is_unavailable_until_it_is_unsealed(openbao):
    provider = build_provider(openbao.url)
    provider.check_health()
    with openbao.sealed(), pytest.raises(ProviderUnavailable, match="VaultDown"):
        provider.check_health()
    provider.check_health()


def test_what_an_older_version_of_the_key_wrapped_still_opens_until_it_is_forbidden(openbao):
    provider = build_provider(openbao.other_url)
    blob = provider.wrap(b"k" * 32, CONTEXT)
    transit = openbao.admin.secrets.transit
    transit.rotate_key("other")
    assert provider.unwrap(provider.active_key_id, blob, CONTEXT) == b"k" * 32
    newest = transit.read_key("other")["data"]["latest_version"]
    transit.update_key_configuration("other", min_decryption_version=newest)
    with pytest.raises(ProviderError, match="any more"):
        provider.unwrap(provider.active_key_id, blob, CONTEXT)
    transit.update_key_configuration("other", min_decryption_version=1)
    assert provider.unwrap(provider.active_key_id, blob, CONTEXT) == b"k" * 32


def test_another_certificate_is_not_trusted(openbao):
    url = openbao.url.replace("ca=" + str(openbao._ca) + "&", "")
    with pytest.raises(ProviderUnavailable, match="SSLError"):
        build_provider(url).check_health()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("hcvault://vault.example:8200/transit/root", "transit/keys"),
        ("hcvault:///transit/keys/root", "transit/keys"),
        ("hcvault://token@vault.example/transit/keys/root", "transit/keys"),
        ("hcvault://vault.example/transit/keys/root?tokken=env:T", "transit/keys"),
        ("hcvault://vault.example/transit/keys/root?tls=off", "loopback"),
        ("hcvault://vault.example/transit/keys/root?token=s.abcdef", "never as itself"),
        ("hcvault://vault.example/transit/keys/root?ca=/no/such/file", "ca="),
        ("hcvault://vault.example/transit/keys/../root", "transit/keys"),
    ],
)
def test_a_malformed_url_says_what_is_wrong(url, says):
    with pytest.raises(ConfigurationError, match=says) as caught:
        build_provider(url)
    assert "abcdef" not in str(caught.value)

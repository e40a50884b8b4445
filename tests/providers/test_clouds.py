import pytest

from secrets_app.errors import ConfigurationError, ProviderUnavailable
from secrets_app.keys import build_provider

RING = "projects/acme/locations/global/keyRings/ring/cryptoKeys"


@pytest.mark.parametrize("field", ["request", "ciphertext"])
def test_a_key_damaged_on_its_way_to_google_is_not_stored(gcp, field):
    provider = build_provider(gcp.url)
    with gcp.damaged(field), pytest.raises(ProviderUnavailable, match="damaged"):
        provider.wrap(b"k" * 32, b"context")


def test_a_key_damaged_on_its_way_from_google_is_not_used(gcp):
    provider = build_provider(gcp.url)
    blob = provider.wrap(b"k" * 32, b"context")
    with gcp.damaged("plaintext"), pytest.raises(ProviderUnavailable, match="damaged"):
        provider.unwrap(provider.active_key_id, blob, b"context")
    assert provider.unwrap(provider.active_key_id, blob, b"context") == b"k" * 32


@pytest.mark.parametrize(
    "url",
    [
        "aws-kms://alias/root",
        "aws-kms://arn:aws:kms:eu-central-1:123456789012:alias/root",
        "aws-kms://arn:aws:kms:eu-central-1:1234:key/abc",
        "aws-kms://arn:aws:s3:eu-central-1:123456789012:key/abc",
        "gcp-kms://root",
        f"gcp-kms://{RING}/root/cryptoKeyVersions/1",
        f"gcp-kms://{RING}/a/../root",
        f"gcp-kms://{RING}/",
    ],
)
def test_a_name_that_is_not_one_key_is_refused_at_start(url):
    with pytest.raises(ConfigurationError, match="ROOT_KEY_URLS"):
        build_provider(url)


@pytest.mark.parametrize("host", ["kms.example:443", "10.0.0.1:443", "127.0.0.1", "localhost:x"])
def test_an_emulator_is_on_this_machine(monkeypatch, host):
    monkeypatch.setenv("GCP_KMS_EMULATOR_HOST", host)
    with pytest.raises(ConfigurationError, match="loopback"):
        build_provider(f"gcp-kms://{RING}/root")

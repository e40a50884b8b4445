"""From ROOT_KEY_URLS to providers."""

import base64
import os
import subprocess
import sys

import pytest

from secrets_app.errors import ConfigurationError
from secrets_app.keys import build_provider, create_root_key, keyring
from secrets_app.providers.local import LocalProvider

VENDORS = {"boto3", "botocore", "google.cloud", "grpc", "hvac", "pkcs11"}


def my_provider(url, *, timeout_s):
    """What a project of its own would bring."""
    return LocalProvider([bytes(range(32))])


def test_no_vendor_library_is_loaded_that_is_not_named():
    code = (
        "import django, sys, os\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings'\n"
        "django.setup()\n"
        "from secrets_app.keys import keyring\n"
        "keyring().health()\n"
        "import vaultsite.urls\n"
        f"print(sorted({VENDORS!r} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("url", "extra"),
    [
        ("pkcs11:token=a;object=b?module-path=/m.so&pin-source=env:PIN", "pkcs11"),
        ("aws-kms://arn:aws:kms:eu-central-1:123456789012:key/abc", "aws"),
        ("gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k", "gcp"),
        ("hcvault://vault.example/transit/keys/root", "hcvault"),
    ],
)
def test_a_missing_library_names_the_file_that_brings_it(monkeypatch, url, extra):
    for name in list(sys.modules):
        if name.startswith("secrets_app.providers."):
            monkeypatch.delitem(sys.modules, name)
    for vendor in ("pkcs11", "boto3", "hvac", "google_crc32c"):
        monkeypatch.setitem(sys.modules, vendor, None)
    with pytest.raises(ConfigurationError, match=f"requirements/{extra}.txt"):
        build_provider(url)


def test_a_project_brings_a_provider_of_its_own(settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {
        "ROOT_KEY_URLS": ["my-hsm:whatever"],
        "EXTRA_KEY_PROVIDERS": {"my-hsm": f"{__name__}.my_provider"},
    }
    (health,) = keyring().health()
    assert health.error is None


def test_a_provider_that_cannot_be_imported_is_a_fault_of_the_setup(settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {
        "ROOT_KEY_URLS": ["my-hsm:whatever"],
        "EXTRA_KEY_PROVIDERS": {"my-hsm": "nowhere.from_url"},
    }
    with pytest.raises(ConfigurationError, match=r"nowhere\.from_url for my-hsm"):
        keyring()


def test_a_key_file_is_made_and_grows_at_its_end(tmp_path, settings):
    file = tmp_path / "root.key"
    first = create_root_key(f"file:{file}")
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text(file.read_text().rstrip())  # as some editors leave it
    second = create_root_key(f"file:{file}")
    provider = build_provider(f"file:{file}")
    assert provider.active_key_id == first
    assert provider.key_ids == {first, second}


@pytest.mark.parametrize(
    "url", ["env:KEY", "hcvault://h/transit/keys/k", "aws-kms://x", "nonsense", "file:relative"]
)
def test_a_key_that_cannot_be_made_here_says_so(url):
    with pytest.raises(ConfigurationError):
        create_root_key(url)


def test_a_key_file_that_is_open_to_others_does_not_grow(tmp_path):
    file = tmp_path / "root.key"
    create_root_key(f"file:{file}")
    file.chmod(0o644)
    before = file.read_bytes()
    with pytest.raises(ConfigurationError, match="chmod 600"):
        create_root_key(f"file:{file}")
    assert file.read_bytes() == before


def test_a_key_that_is_added_to_the_file_is_known_without_a_restart(tmp_path, settings):
    file = tmp_path / "root.key"
    old = create_root_key(f"file:{file}")
    settings.SECRETS_APP = settings.SECRETS_APP | {"ROOT_KEY_URLS": [f"file:{file}"]}
    ring = keyring()
    assert ring is keyring()
    new = create_root_key(f"file:{file}")
    assert keyring().root_key_ids == (old, new)
    first, second = file.read_text().split()
    file.write_text(f"{second}\n{first}\n")
    assert keyring().root_key_ids == (new, old)


def test_a_slip_of_the_editor_does_not_stop_a_running_service(tmp_path, settings, caplog):
    file = tmp_path / "root.key"
    create_root_key(f"file:{file}")
    settings.SECRETS_APP = settings.SECRETS_APP | {"ROOT_KEY_URLS": [f"file:{file}"]}
    ring, good = keyring(), file.read_text()
    file.write_text("garbage " + base64.b64encode(os.urandom(30)).decode())
    assert keyring() is ring
    assert keyring() is ring
    assert [record.getMessage() for record in caplog.records if "stays" in record.getMessage()] == [
        f"The set of root keys stays as it was: The root key file {file} is malformed in line 1:"
        " a key is 32 bytes in base64 (for example from `openssl rand -base64 32`)."
    ]
    file.write_text(good)
    assert keyring() is not ring

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.checks import run_checks

from secrets_app import checks
from secrets_app.keys import keyring
from tests.cast import vault_of

ROOT = Path(__file__).resolve().parent.parent


def found(databases=()):
    messages = run_checks(tags=["secrets_app"], databases=databases)
    return {message.id: message for message in messages}


def change(settings, **values):
    settings.SECRETS_APP = settings.SECRETS_APP | values


def test_a_good_setup_has_nothing_to_say(db):
    assert found(databases=["default"]) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ADMIN_BASE", "ModelAdmin"),
        ("ADMIN_BASE", None),
        ("KEK_CACHE_TTL", -1),
        ("KEK_CACHE_TTL", "300"),
        ("MAX_VALUE_BYTES", 0),
        ("MAX_VALUE_BYTES", 2**40),
        ("USER_TOKEN_TTL", True),
        ("USER_SESSION_TTL", 43_201),
        ("EXTRA_SECRET_TYPES", "totp"),
        ("JWT_ISSUER", ""),
    ],
)
def test_a_setting_out_of_range_is_named(settings, name, value):
    change(settings, **{name: value})
    message = found()["secrets_app.E001"]
    assert name in message.msg + str(message.hint) or "SECRET_TYPES" in str(message.hint)


@pytest.mark.parametrize("name", ["SECOND_FACTORS", "END_WEB_SESSIONS"])
@pytest.mark.parametrize(
    "path", ["no.such.part", "vaultsite.accounts.nothing", "vaultsite.urls.urlpatterns"]
)
def test_a_part_of_the_project_that_is_not_there_is_named(settings, name, path):
    change(settings, **{name: path})
    message = found()["secrets_app.E010"].msg
    assert name in message
    assert path in message


@pytest.mark.parametrize("name", ["SECOND_FACTORS", "END_WEB_SESSIONS"])
def test_a_project_without_these_parts_has_nothing_to_say(settings, name):
    change(settings, **{name: ""})
    assert found() == {}


def test_a_mistyped_setting_is_named(settings):
    change(settings, KEK_CACHE_TLT=5)
    assert "KEK_CACHE_TLT" in found()["secrets_app.E002"].msg


@pytest.mark.parametrize(
    ("urls", "says"),
    [
        ([], "ROOT_KEY_URLS"),
        (["file:/no/such/file"], "backup"),
        (["file:relative"], "absolute"),
        (["env:NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE"),
        (["ftp://example.com"], "unknown kind"),
        (["nonsense"], "unknown kind"),
    ],
)
def test_a_missing_root_key_says_what_to_do(settings, urls, says):
    change(settings, ROOT_KEY_URLS=urls)
    message = found()["secrets_app.E003"]
    assert says in message.msg
    assert message.hint


@pytest.mark.parametrize("content", [None, b"", b"garbage", b"-----BEGIN PUBLIC KEY-----\nx\n"])
def test_a_missing_or_malformed_signing_key_says_what_to_do(settings, tmp_path, content):
    file = tmp_path / "jwt.pem"
    if content is not None:
        file.write_bytes(content)
        file.chmod(0o600)
    change(settings, JWT_KEY_FILE=str(file))
    assert "JWT_KEY_FILE" in found()["secrets_app.E004"].msg


def test_a_signing_key_of_another_kind_or_open_to_others_is_refused(settings, tmp_path):
    from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    file = tmp_path / "jwt.pem"
    pem = Ed448PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    file.write_bytes(pem)
    file.chmod(0o600)
    change(settings, JWT_KEY_FILE=str(file))
    assert "Ed25519" in found()["secrets_app.E004"].msg
    file.chmod(0o644)
    assert "chmod 600" in found()["secrets_app.E004"].msg


def test_atomic_requests_are_refused(settings):
    settings.DATABASES["default"]["ATOMIC_REQUESTS"] = True
    try:
        assert "secrets_app.E005" in found()
    finally:
        settings.DATABASES["default"]["ATOMIC_REQUESTS"] = False


def test_debug_is_warned_about(settings):
    settings.DEBUG = True
    assert "secrets_app.W007" in found()


def test_a_root_key_that_does_not_open_the_stored_keys_is_found(settings, alice, monkeypatch):
    vault_of(alice)
    monkeypatch.setenv("OTHER_KEY", base64.b64encode(bytes(32)).decode())
    change(settings, ROOT_KEY_URLS=["env:OTHER_KEY"])
    message = found(databases=["default"])["secrets_app.E008"]
    assert "backup" in message.hint
    assert "secrets_app.E008" not in found()  # asks the database only when told to


def test_the_old_root_key_in_second_place_is_enough(settings, alice, monkeypatch):
    urls = settings.SECRETS_APP["ROOT_KEY_URLS"]
    vault_of(alice)
    monkeypatch.setenv("OTHER_KEY", base64.b64encode(bytes(32)).decode())
    change(settings, ROOT_KEY_URLS=["env:OTHER_KEY", *urls])
    assert found(databases=["default"]) == {}
    assert keyring().active_root_key_id == checks.keyring().active_root_key_id


def test_a_wrapped_key_that_was_altered_is_found(alice, vault):
    from secrets_app.models import VaultKey

    key = VaultKey.objects.get()
    VaultKey.objects.update(wrapped=bytes(key.wrapped)[:-1] + b"\0")
    VaultKey.objects.update(version=2)
    assert "secrets_app.E008" in found(databases=["default"])


def run(code_or_args, tmp_path, **environment):
    env = {"PATH": os.environ["PATH"], "VAULTSITE_HOME": str(tmp_path)} | environment
    return subprocess.run(
        [sys.executable, *code_or_args],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_check_deploy_is_clean_under_production_settings(tmp_path):
    from vaultsite import home

    (tmp_path / "root.key").write_text(base64.b64encode(bytes(range(32))).decode())
    home.write_private(tmp_path / "jwt.pem", home.generate_signing_key_pem())
    (tmp_path / "root.key").chmod(0o600)
    result = run(
        ["manage.py", "check", "--deploy", "--fail-level", "DEBUG"],
        tmp_path,
        SECRET_KEY=base64.b64encode(os.urandom(48)).decode(),
        ALLOWED_HOSTS="vault.example.com",
    )
    # The two ask for HSTS of subdomains and preload, which is the operator's choice.
    assert "no issues (2 silenced)" in result.stdout + result.stderr
    assert result.returncode == 0


@pytest.mark.parametrize("module", ["asgi", "wsgi"])
def test_the_server_does_not_start_without_a_root_key_and_says_what_to_do(tmp_path, module):
    result = run(["-c", f"import vaultsite.{module}"], tmp_path, SECRET_KEY="x" * 50)
    assert result.returncode == 1
    assert "vaultsite cannot start" in result.stderr
    assert "root.key" in result.stderr
    assert "HINT" in result.stderr


def test_without_a_secret_key_the_settings_say_what_to_do(tmp_path):
    result = run(["manage.py", "check"], tmp_path)
    assert result.returncode == 1
    assert "SECRET_KEY is not set" in result.stderr


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("KEK_CACHE_TTL", "soon", "KEK_CACHE_TTL must be a whole number"),
        ("DATABASE_URL", "mysql://localhost/x", "PostgreSQL or SQLite"),
        (
            "SECOND_FACTOR",
            "superuser",
            "SECOND_FACTOR must be off, optional, superusers or everybody",
        ),
        ("ADMIN_OTP", "superuser", "SECOND_FACTOR must be off, optional, superusers or everybody"),
    ],
)
def test_a_malformed_variable_is_named(tmp_path, name, value, says):
    result = run(["manage.py", "check"], tmp_path, SECRET_KEY="x" * 50, **{name: value})
    assert result.returncode == 1
    assert says in result.stderr


@pytest.mark.parametrize("trusted", ["TRUSTED_PROXIES", "SECURE_PROXY_SSL_HEADER"])
def test_a_host_project_is_told_that_wsgi_mixes_header_names_up(settings, trusted):
    """Issue 14, point 1: without the setting, forwarding headers do not count."""
    app = settings.SECRETS_APP | {"HEADER_NAMES_KEPT_APART": False}
    settings.ASGI_APPLICATION = None
    settings.SECRETS_APP = app
    assert not run_checks(tags=["secrets_app"], databases=[])
    if trusted == "TRUSTED_PROXIES":
        settings.SECRETS_APP = app = app | {"TRUSTED_PROXIES": ["10.0.0.0/8"]}
    else:
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    (message,) = run_checks(tags=["secrets_app"], databases=[])
    assert (message.id, "HEADER_NAMES_KEPT_APART" in message.hint) == ("secrets_app.W009", True)
    settings.SECRETS_APP = app | {"HEADER_NAMES_KEPT_APART": True}
    assert not run_checks(tags=["secrets_app"], databases=[])

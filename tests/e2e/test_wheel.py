"""`secrets_app` in somebody else's project: a bare one, with Django's own integer-keyed users."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.only_on("sqlite")

ROOT = Path(__file__).resolve().parents[2]

SETTINGS = """
SECRET_KEY = "x" * 50
USE_TZ = True
ALLOWED_HOSTS = ["testserver"]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "secrets_app",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
ROOT_URLCONF = "bare_urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "bare.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRETS_APP = {"ROOT_KEY_URLS": ["env:BARE_ROOT_KEY"], "JWT_KEY_FILE": "jwt.pem"}
"""

URLS = """
from django.contrib import admin
from django.urls import include, path
urlpatterns = [path("", include("secrets_app.api.urls")), path("admin/", admin.site.urls)]
"""

SCRIPT = """
import django, secrets_app, sys
django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
assert "installed" in secrets_app.__file__, secrets_app.__file__
assert "vaultsite" not in sys.modules
call_command("check", databases=["default"])
call_command("makemigrations", check=True, dry_run=True)
call_command("migrate", verbosity=0)
user = User.objects.create_user("dora@example.com", password="a password")
assert isinstance(user.pk, int)
client = Client()
def call(method, path, body=None, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return client.generic(method, path, body or "", content_type="application/json", headers=headers)
signed_in = call("POST", "/v1/auth/token", '{"email":"dora@example.com","password":"a password"}')
token = signed_in.json()["access_token"]
vault = call("POST", "/v1/vaults", '{"name":"bare"}', token).json()["id"]
url = f"/v1/vaults/{vault}/secrets/a/b"
assert call("PUT", url, '{"type":"note","value":"kept"}', token).status_code == 201
assert call("GET", url, token=token).json()["value"] == "kept"
assert call("GET", "/v1/openapi.json").status_code == 200
assert call("GET", "/v1/nope").status_code == 404
print("stored a secret in a bare project")

from django.contrib.admin.sites import site
from secrets_app.models import SecretVersion
operator = Client()
operator.force_login(User.objects.create_superuser("root", password="x"))
walked = 0
for model, admin in site._registry.items():
    if model._meta.app_label == "secrets_app":
        assert type(admin).__mro__[2].__module__ == "django.contrib.admin.options", admin
        url = f"/admin/secrets_app/{model._meta.model_name}/"
        pages = [operator.get(url)]
        if row := model.objects.first():
            pages.append(operator.get(f"{url}{row.pk}/change/"))
        for page in pages:
            assert page.status_code == 200, (url, page.status_code)
            assert "kept" not in page.content.decode()
        walked += len(pages)
assert walked > 13, walked
version = SecretVersion.objects.get()
sent = {"action": "disable", "_selected_action": [str(version.pk)]}
url = "/admin/secrets_app/secretversion/"
assert "Disable these versions" in operator.post(url, sent).content.decode()
assert operator.post(url, sent | {"confirmed": "yes"}).status_code == 302
assert call("GET", f"/v1/vaults/{vault}/secrets/a/b", token=token).status_code == 410
print("looked after it in the stock admin")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "secrets_app"):
        (source / name).symlink_to(ROOT / name)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source],
        check=True,
        capture_output=True,
        timeout=120,
    )
    (file,) = folder.glob("*.whl")
    return file


def test_the_wheel_holds_the_app_alone_and_whole(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"secrets_app"}
    for needed in (
        "py.typed",
        "migrations/0001_initial.py",
        "admin/secret.py",
        "api/urls.py",
        "crypto/aead.py",
    ):
        assert f"secrets_app/{needed}" in names
    for file in [*ROOT.glob("secrets_app/**/*.py"), *ROOT.glob("secrets_app/**/*.html")]:
        assert file.relative_to(ROOT).as_posix() in names


def test_it_stores_a_secret_in_a_bare_project_and_shows_it_in_the_stock_admin(wheel, tmp_path):
    target = tmp_path / "installed"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", target, wheel],
        check=True,
        timeout=120,
    )
    (tmp_path / "bare_settings.py").write_text(SETTINGS)
    (tmp_path / "bare_urls.py").write_text(URLS)
    from secrets_app.crypto.signing import generate_signing_key_pem
    from secrets_app.providers.local import generate_root_key_text

    (tmp_path / "jwt.pem").write_bytes(generate_signing_key_pem())
    (tmp_path / "jwt.pem").chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{target}:{tmp_path}",
            "DJANGO_SETTINGS_MODULE": "bare_settings",
            "BARE_ROOT_KEY": generate_root_key_text(),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "stored a secret in a bare project" in done.stdout, done.stdout + done.stderr
    assert "looked after it in the stock admin" in done.stdout, done.stdout + done.stderr

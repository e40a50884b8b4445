"""A real OpenID provider: django-oauth-toolkit in a Django process of its own, over HTTPS.

    python -m tests.oidc.toolkit FOLDER PORT REDIRECT_URI…

`FOLDER/server.pem` is its certificate. It demands PKCE, and signs with RS256. Its people have the password
`PASSWORD`; `people.json` in the folder says who they are, and is read at each request.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any

from tests.e2e.processes import ended, free_port, start
from tests.oidc.authority import Authority, server_context

CLIENT_ID, CLIENT_SECRET, PASSWORD = "vaultsite: here", "s3cr3t+of/the client", "provider password"


@dataclass
class Toolkit:
    folder: Path
    authority: Authority
    port: int

    @property
    def issuer(self) -> str:
        return f"https://127.0.0.1:{self.port}/o"

    def people(self, **claims: Mapping[str, Any]) -> None:
        """Say who its people are: name → claims."""
        draft = self.folder / "people.draft"
        draft.write_text(json.dumps(claims))
        draft.replace(self.folder / "people.json")

    def variables(self, provider_id: str = "corp") -> dict[str, str]:
        """The settings of a relying party."""
        secret = self.folder / "client-secret"
        secret.write_text(CLIENT_SECRET)
        prefix = f"OIDC_{provider_id.upper()}_"
        return {
            f"{prefix}ISSUER": self.issuer,
            f"{prefix}CLIENT_ID": CLIENT_ID,
            f"{prefix}CLIENT_SECRET": f"file:{secret}",
            f"{prefix}NAME": "Corporate login",
            f"{prefix}CA_FILE": str(self.authority.ca_file),
            f"{prefix}TRUSTED_DOMAINS": "example.com",
        }

    @contextmanager
    def running(self, *redirect_uris: str) -> Iterator[None]:
        self.people()
        command = [sys.executable, "-m", "tests.oidc.toolkit", str(self.folder), str(self.port)]
        environment = {"PATH": os.environ["PATH"]}
        log = self.folder / "log"
        process = start([*command, *redirect_uris], environment, log)
        with ended(process, signal.SIGTERM, within_s=20):
            _await(self, process, log)
            yield


def new_toolkit(folder: Path) -> Toolkit:
    return Toolkit(folder, Authority(folder), free_port())


def _await(toolkit: Toolkit, process: Any, log: Path) -> None:
    import ssl
    import time
    import urllib.request

    context = ssl.create_default_context(cafile=str(toolkit.authority.ca_file))
    url = toolkit.issuer + "/.well-known/openid-configuration"
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5, context=context):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the provider did not start:\n{log.read_text()[-4000:]}")


def main(folder: Path, port: int, redirect_uris: list[str]) -> None:
    _configure(folder, port)
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from oauth2_provider.models import Application

    call_command("migrate", verbosity=0, interactive=False)
    Application.objects.create(
        name="Vaultsite",
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        redirect_uris=" ".join(redirect_uris),
        skip_authorization=True,
        algorithm=Application.RS256_ALGORITHM,
    )
    for name in ("dora", "eve", "mallory"):
        User.objects.create_user(name, password=PASSWORD)
    _serve(folder, port)


def _configure(folder: Path, port: int) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from django.conf import settings

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    os.environ["PEOPLE"] = str(folder / "people.json")
    form = "<form method=post>{% csrf_token %}{{ form.as_p }}<button>Sign in</button></form>"
    loader = ("django.template.loaders.locmem.Loader", {"registration/login.html": form})
    settings.configure(
        SECRET_KEY="of the provider",
        ALLOWED_HOSTS=["127.0.0.1"],
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "provider.db")}
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "oauth2_provider",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",  # Content-Length
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [loader, "django.template.loaders.app_directories.Loader"],
                    "context_processors": ["django.template.context_processors.request"],
                },
            }
        ],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        SESSION_COOKIE_NAME="provider_session",
        CSRF_COOKIE_NAME="provider_csrf",
        SESSION_COOKIE_SECURE=True,
        ROOT_URLCONF="tests.oidc.toolkit_urls",
        LOGIN_URL="/login/",
        OAUTH2_PROVIDER={
            "OIDC_ENABLED": True,
            "OIDC_ISS_ENDPOINT": f"https://127.0.0.1:{port}/o",
            "OIDC_RSA_PRIVATE_KEY": key.decode(),
            "OIDC_RESPONSE_TYPES_SUPPORTED": ["code"],
            "SCOPES": {"openid": "who you are", "email": "your address", "profile": "your name"},
            "OAUTH2_VALIDATOR_CLASS": "tests.oidc.toolkit_urls.Validator",
            "PKCE_REQUIRED": True,
        },
    )


def _serve(folder: Path, port: int) -> None:
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

    from django.core.wsgi import get_wsgi_application

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True

    class Handler(WSGIRequestHandler):
        def get_environ(self) -> Any:
            return super().get_environ() | {"wsgi.url_scheme": "https", "HTTPS": "on"}

    server = make_server("127.0.0.1", port, get_wsgi_application(), Server, Handler)
    server.socket = server_context(folder / "server.pem").wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])

"""A value, tokens and keys that a real server is given before the e2e suite uses it, and is searched for
after the last of these tests: they may be nowhere but in the answers that are meant to show them."""

import base64
import os
import re
import subprocess
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.e2e.server import Server, connection_options, manage
from tests.postgresql import BIN
from tests.spellings import found_in

CANARY = "canary-" + "5f1c0ff3e-ünï"
_OPERATOR, _OPERATORS_PASSWORD = "canary@vaultsite.local", "a-canary-" + "of-an-operator"
# The files that hold them; and quickstart keeps the demo account, and prints its key, on purpose and once.
_BELONGS = {
    "var/root.key": {"root key"},
    "var/jwt.pem": {"signing key"},
    "var/vaultsite.env": {"secret key"},
    "var/demo.json": {"API key", "password"},
    "printed": {"API key"},
}


@contextmanager
def watched(
    server: Server, database_url: str | None, folder: Path
) -> Iterator[dict[str, str | bytes]]:
    """Plants what must not be found, gives it by name, and searches everything at the end."""
    planted = plant(server)
    yield planted
    assert leaks(planted, sinks(server, database_url, folder)) == []


def leaks(planted: dict[str, str | bytes], contents: Iterable[tuple[str, bytes]]) -> list[str]:
    """What was found where it does not belong, by name."""
    return [
        f"{name} in {sink}"
        for sink, content in contents
        for name, secret in planted.items()
        if name not in _BELONGS.get(sink, ()) and found_in(content, secret)
    ]


def plant(server: Server) -> dict[str, str | bytes]:
    """Name → text."""
    demo = server.quickstart()
    token, vault = demo["token"], f"/v1/vaults/{demo['vault_id']}"
    url = f"{vault}/secrets/canary"
    body = {"type": "note", "value": CANARY}
    assert server.request("PUT", url, body, token)[0] == 201
    assert server.request("GET", url, token=token)[1]["value"] == CANARY
    # The ways in which it might slip into an error.
    server.request("PUT", url, body | {"type": CANARY}, token)
    server.request("PUT", url, body | {"metadata": CANARY}, token)
    server.request("PUT", url + "..", body, token)
    server.request("PUT", url, body, "no-token")
    server.request("GET", url, token=CANARY.encode().hex())
    items = {"secrets": [body | {"path": f"canaries/{n}"} for n in range(2)]}
    assert server.request("POST", f"{vault}/secrets:batchWrite", items, token)[0] == 201
    agent_key = server.request("POST", "/v1/agents", {"name": "canary"}, token)[1]["api_key"]
    key = {"api_key": agent_key}
    agent_token = server.request("POST", "/v1/auth/agent-token", key)[1]["access_token"]
    server.request("POST", "/v1/auth/api-key-token", key)
    server.request("POST", "/v1/auth/token", {"email": "demo@vaultsite.local", "password": CANARY})
    manage(
        *("create_user", _OPERATOR, "--superuser"),
        environment=server.environment | {"VAULTSITE_PASSWORD": _OPERATORS_PASSWORD},
    )
    signing_key = load_pem_private_key((server.home / "jwt.pem").read_bytes(), None)
    assert isinstance(signing_key, Ed25519PrivateKey)
    return {
        "value": CANARY,
        "token": token,
        "API key": demo["api_key"],
        "password": demo["password"],
        "operator's password": _OPERATORS_PASSWORD,
        "agent's key": agent_key,
        "agent's token": agent_token,
        "root key": base64.b64decode((server.home / "root.key").read_text().split()[-1]),
        "signing key": signing_key.private_bytes_raw(),
        "secret key": re.findall("SECRET_KEY=(.+)", (server.home / "vaultsite.env").read_text())[0],
    }


def sinks(server: Server, database_url: str | None, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of whatever the server writes, keeps or shows."""
    for path in ("/metrics", "/v1/openapi.json", "/v1/health", "/v1/health/hsm", "/readyz"):
        yield path, server.exchange("GET", path)[2]
    yield "errors", b"\n".join(server.errors)
    yield from admin_pages(server)
    environment = server.environment | {"PATH": f"{BIN}{os.pathsep}{server.environment['PATH']}"}
    manage("export_audit", "--output", str(folder / "audit"), environment=environment)
    manage("backup", str(folder / "backup"), environment=environment)
    if database_url:  # it is compressed
        command = [BIN / "pg_restore", "--file=-", folder / "backup"]
        yield "backup", subprocess.run(command, check=True, capture_output=True).stdout
        yield "database", dump(database_url)
    printed, _, served = server.log.read_bytes().partition(b"Demo account:")
    assert served
    yield "printed", printed
    yield "log", served
    for file in [*sorted(server.home.rglob("*")), *sorted(folder.rglob("*"))]:
        if file.is_file():
            yield f"{file.parent.name}/{file.name}", file.read_bytes()


def admin_pages(server: Server) -> Iterator[tuple[str, bytes]]:
    """Every list of the admin, and the first rows of each, as an operator sees them."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def page(path: str, form: dict[str, str | bytes] | None = None) -> str:
        data = None if form is None else urlencode(form).encode()
        request = urllib.request.Request(server.base_url + path, data)
        request.add_header("Origin", server.base_url)
        with browser.open(request, timeout=30) as answer:
            return str(answer.read().decode())

    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page("/accounts/login/"))
    assert token
    form = {"login": _OPERATOR, "password": _OPERATORS_PASSWORD}
    home = page("/accounts/login/?next=/admin/", form | {"csrfmiddlewaretoken": token[1]})
    lists = sorted(set(re.findall(r'href="(/admin/\w+/\w+/)"', home)))
    assert len(lists) > 8, home
    for path in lists:
        content = page(path)
        yield path, content.encode()
        for row in sorted(set(re.findall(rf'href="({path}[^/"?]+/change/)', content)))[:5]:
            yield row, page(row).encode()


def dump(url: str) -> bytes:
    """Every table of a PostgreSQL database, as text and as bytes."""
    import psycopg

    text = b""
    with psycopg.connect(**connection_options(url)) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        for (table,) in tables:
            for (row,) in connection.execute(f'SELECT t::text FROM "{table}" t'):
                text += row.encode() + b"\n"
            with connection.cursor().copy(f'COPY "{table}" TO STDOUT (FORMAT BINARY)') as copy:
                text += b"".join(bytes(part) for part in copy)
    return text

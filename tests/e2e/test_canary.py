"""After a value went in and out, it is nowhere but in the answer."""

import base64
import os
import subprocess
import urllib.request
from urllib.parse import quote

import pytest

from tests.e2e.server import manage
from tests.postgresql import BIN
from tests.spellings import found_in

CANARY = "canary-" + "5f1c0ff3e-ünï"


@pytest.fixture(scope="module")
def written(server):
    demo = server.quickstart()
    url = f"/v1/vaults/{demo['vault_id']}/secrets/canary"
    body = {"type": "note", "value": CANARY}
    assert server.request("PUT", url, body, demo["token"])[0] == 201
    assert server.request("GET", url, token=demo["token"])[1]["value"] == CANARY
    # The ways in which it might slip into an error.
    server.request("PUT", url, body | {"type": CANARY}, demo["token"])
    server.request("PUT", url, body | {"metadata": CANARY}, demo["token"])
    server.request("PUT", url + "..", body, demo["token"])
    server.request("PUT", url, body, "no-token")
    items = {"secrets": [body | {"path": f"canaries/{n}"} for n in range(2)]}
    vault = f"/v1/vaults/{demo['vault_id']}"
    assert server.request("POST", f"{vault}/secrets:batchWrite", items, demo["token"])[0] == 201
    agent = server.request("POST", "/v1/agents", {"name": "canary"}, demo["token"])[1]
    key = {"api_key": agent["api_key"]}
    demo["agent_key"] = agent["api_key"]
    demo["agent_token"] = server.request("POST", "/v1/auth/agent-token", key)[1]["access_token"]
    server.request("POST", "/v1/auth/api-key-token", key)
    server.request("POST", "/v1/auth/token", {"email": "demo@vaultsite.local", "password": CANARY})
    return demo


def sinks(server, empty_database, folder):
    with urllib.request.urlopen(server.base_url + "/metrics", timeout=30) as answer:
        yield "metrics", answer.read()
    environment = server.environment | {"PATH": f"{BIN}{os.pathsep}{server.environment['PATH']}"}
    manage("backup", str(folder / "backup"), environment=environment)
    if empty_database:  # it is compressed
        command = [BIN / "pg_restore", "--file=-", folder / "backup"]
        yield "backup", subprocess.run(command, check=True, capture_output=True).stdout
    else:
        yield "backup", (folder / "backup").read_bytes()
    for file in [server.log, *sorted(server.home.rglob("*"))]:
        if file.is_file():
            yield file.name, file.read_bytes()
    if empty_database:
        yield "database", dump(empty_database)


def dump(url: str) -> bytes:
    """Every table as text, as a backup has it."""
    import psycopg
    from environ import Env

    config = Env.db_url_config(url)
    options = {
        "host": config["HOST"] or None,
        "port": config["PORT"] or None,
        "user": config["USER"] or None,
        "password": config["PASSWORD"] or None,
        "dbname": config["NAME"],
    } | config.get("OPTIONS", {})
    text = b""
    with psycopg.connect(**options) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        for (table,) in tables:
            for (row,) in connection.execute(f'SELECT t::text FROM "{table}" t'):
                text += row.encode() + b"\n"
            with connection.cursor().copy(f'COPY "{table}" TO STDOUT (FORMAT BINARY)') as copy:
                text += b"".join(bytes(part) for part in copy)
    return text


def test_no_file_log_table_metric_or_backup_holds_the_value_in_any_spelling(
    server, written, empty_database, tmp_path
):
    looked_at = 0
    for name, content in sinks(server, empty_database, tmp_path):
        assert content or name == ".lock"
        looked_at += 1
        assert found_in(content, CANARY) == [], f"{name} holds the value"
    assert looked_at >= 7


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode(),
        lambda text: text.encode("utf-16-le"),
        lambda text: base64.b64encode(text.encode()),
        lambda text: base64.urlsafe_b64encode(text.encode()),
        lambda text: text.encode().hex().encode(),
        lambda text: quote(text, safe="").encode(),
        lambda text: text.encode()[::-1],
    ],
)
@pytest.mark.parametrize("before", ["", "x", '{"v":"', "four"])
def test_the_search_would_find_it(encode, before):
    planted = encode(f"{before}{CANARY}, and more")
    assert found_in(planted, CANARY)


def test_no_token_or_key_is_logged(server, written):
    log = server.log.read_text()
    printed, _, served = log.partition("Demo account:")
    assert written["api_key"] in printed  # quickstart shows it, on purpose and once
    names = ("api_key", "token", "password", "agent_key", "agent_token")
    for name in names:
        assert found_in(served.encode(), written[name]) == [], name


def test_no_token_key_or_root_key_is_in_the_database(server, written, empty_database):
    root_key = (server.home / "root.key").read_text().split()[-1]
    files = [file for file in server.home.iterdir() if file.name.startswith("db.sqlite3")]
    content = b"".join(file.read_bytes() for file in files)
    content += dump(empty_database) if empty_database else b""
    assert len(content) > 10_000
    for name in ("api_key", "token", "password", "agent_key", "agent_token"):
        assert found_in(content, written[name]) == [], name
    assert found_in(content, root_key) == []
    assert base64.b64decode(root_key) not in content


def test_the_database_under_test_is_the_servers(server, empty_database):
    assert (server.home / "db.sqlite3").exists() is (not os.environ.get("TEST_DATABASE_URL"))

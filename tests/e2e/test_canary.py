"""The search for leaks finds what leaked: `canary.py` makes it after the last test of this folder."""

import base64
import os
from urllib.parse import quote

import pytest

from tests.e2e.canary import CANARY, leaks, sinks
from tests.spellings import found_in, spellings


def test_it_looks_everywhere_and_finds_what_is_there(server, planted, empty_database, tmp_path):
    looked_at = dict(sinks(server, empty_database, tmp_path))
    assert len(looked_at) > 30
    assert all(content for name, content in looked_at.items() if name != "var/.lock")
    assert {"/metrics", "/v1/openapi.json", "errors", "log"} <= looked_at.keys()
    database = b"".join(
        content
        for name, content in looked_at.items()
        if name == "database" or name.startswith("var/db.sqlite3")
    )
    assert b"canaries/0" in database  # a path is no secret
    assert leaks(planted, looked_at.items()) == []
    for name, secret in planted.items():
        for written in spellings(secret).values():
            leaked = {"log": looked_at["log"] + written}
            assert leaks(planted, leaked.items()) == [f"{name} in log"]


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


def test_the_database_under_test_is_the_servers(server, empty_database):
    assert (server.home / "db.sqlite3").exists() is (not os.environ.get("TEST_DATABASE_URL"))

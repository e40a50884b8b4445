"""Two servers on one database: what one of them learned, the other knows at once."""

import pytest

from tests.e2e.server import serve


@pytest.fixture
def two(tmp_path):
    home, settings = tmp_path / "var", {"LOCKOUT_FAILURES": "4"}
    with serve(home, None, **settings) as first, serve(home, None, **settings) as second:
        yield first, second


def test_lockout_and_revocation_hold_in_every_process(two):
    first, second = two
    demo = first.quickstart()
    wrong = {"email": demo["email"].upper(), "password": "wrong"}
    statuses = [
        server.request("POST", "/v1/auth/token", wrong)[0] for server in (first, second) * 2
    ]
    assert statuses == [401, 401, 401, 429]
    right = {"email": demo["email"], "password": demo["password"]}
    for server in two:
        assert server.request("POST", "/v1/auth/token", right)[0] == 429
    token = demo["token"]
    assert second.request("GET", "/v1/auth/me", token=token)[0] == 200
    assert first.request("DELETE", "/v1/auth/token", token=token)[0] == 204
    assert second.request("GET", "/v1/auth/me", token=token)[0] == 401

"""A live server whose PostgreSQL is stopped under it, and comes back."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import pytest

from tests.api.test_every_route import ENDPOINTS, url
from tests.e2e.server import serve
from tests.faults.postgresql import own_postgresql
from tests.vault_api.test_every_route import PUBLIC, TAKES, request_of

pytestmark = [pytest.mark.no_cover, pytest.mark.only_on("postgresql")]

# What the service is, which it knows without a database.
ABLE = {"/v1/openapi.json", "/v1/health", "/v1/health/hsm", "/.well-known/openid-configuration"}
KEYS = {"/.well-known/jwks.json", "/v1/auth/jwt-public-key"}
# A challenge is drawn and signed, and nothing is looked up for it.
DRAWN = {"/v1/auth/passkeys/assert/begin"}
AT_ONCE_S = 3
SIGN_INS = {
    "/v1/auth/token": {"email": "demo@vaultsite.local", "password": "x"},
    "/v1/auth/api-key-token": {"api_key": "1ck_x"},
    "/v1/auth/agent-token": {"api_key": "ocv_x"},
    "/v1/auth/refresh": {"refresh_token": "1rt_" + "A" * 65},
    "/v1/auth/mfa/verify": {"mfa_token": "1mf_" + "A" * 43, "code": "123456"},
    "/v1/auth/device/code": {"client_id": "cli"},
    "/v1/auth/device/token": {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": "1dc_" + "A" * 43,
    },
    "/v1/auth/passkeys/assert/complete": dict.fromkeys(
        ("credential_id", "client_data_json", "authenticator_data", "signature", "user_handle"),
        "AAAA",
    ),
}


def test_with_the_database_down_every_route_answers_at_once_with_a_problem_and_recovers(tmp_path):
    """Seen in two Django and Python vaults: 500 with Retry-After, never HTML, and the first request
    after it is back works. At the Vault door too, in its own format."""
    with own_postgresql() as postgresql, serve(tmp_path / "var", postgresql.url) as server:
        demo = server.quickstart()
        token, vault = demo["token"], demo["vault_id"]
        secret = f"/v1/vaults/{vault}/secrets/a"
        body = {"type": "note", "value": "kept"}
        assert server.request("PUT", secret, body, token)[0] == 201
        assert server.request("GET", f"/vault/v1/{vault}/data/a", token=token)[0] == 200
        with ThreadPoolExecutor(40) as pool:
            # Each worker thread has a connection, which will be stale.
            list(pool.map(lambda _: server.request("GET", secret, token=token), range(80)))
            postgresql.crash()
            for route, _, method, _ in ENDPOINTS:
                content = SIGN_INS.get(route) if method == "POST" else None
                began = time.monotonic()
                status, headers, raw = server.exchange(method, url(route, vault), content, token)
                assert time.monotonic() - began < AT_ONCE_S, route
                if route in ABLE | KEYS | DRAWN:
                    assert status == HTTPStatus.OK, route
                    continue
                assert status == HTTPStatus.INTERNAL_SERVER_ERROR, (method, route)
                assert headers["Content-Type"] == "application/problem+json"
                assert int(headers["Retry-After"]) > 0, (method, route)
                if method != "HEAD":
                    assert json.loads(raw)["status"] == status
                    assert b"psycopg" not in raw
                    assert b"socket" not in raw
            assert server.request("GET", "/v1/health")[1]["status"] == "degraded"
            the_vault_door_says_so_too(server, vault, token)
            postgresql.start()
            answers = list(
                pool.map(lambda _: server.request("GET", secret, token=token), range(80))
            )
        assert {status for status, _ in answers} == {200}
        assert {answer["value"] for _, answer in answers} == {"kept"}
        assert server.request("PUT", secret, body, token)[0] == 201
        status, read = server.request("GET", f"/vault/v1/{vault}/data/a", token=token)
        assert (status, read["data"]["data"]) == (200, {"value": "kept"})


def the_vault_door_says_so_too(server, vault, token):
    """500 and not 503, which its clients take for sealed, and which no retry would open."""
    for template, method in TAKES:
        path, content = request_of(template, method, vault)
        began = time.monotonic()
        status, headers, raw = server.exchange(method, f"/vault/v1/{path}", content, token)
        assert time.monotonic() - began < AT_ONCE_S, template
        if (template, method) in PUBLIC and "/auth/" not in template:
            assert status == HTTPStatus.OK, template
            continue
        if status == HTTPStatus.NOT_FOUND and template == "/auth/{method}/login":
            continue  # not enabled, which it knows without a database
        assert status == HTTPStatus.INTERNAL_SERVER_ERROR, (method, template)
        assert headers["Content-Type"] == "application/json"
        assert headers["Cache-Control"] == "no-store"
        assert int(headers["Retry-After"]) > 0, (method, template)
        assert json.loads(raw) == {"errors": ["internal error"]}

"""A key provider that is away when the service starts, or while it runs (a real OpenBao behind a link)."""

import base64
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.e2e.server import serve

pytestmark = [pytest.mark.no_cover, pytest.mark.only_on("postgresql")]


def until(server, status):
    deadline = time.monotonic() + 40
    while server.request("GET", "/v1/health/hsm")[1] != {"status": status}:
        assert time.monotonic() < deadline, server.log.read_text()[-2000:]
        time.sleep(0.3)


def test_the_service_starts_without_its_provider_and_recovers_by_itself(
    tmp_path, fresh_database, openbao
):
    settings = {"ROOT_KEY_URLS": openbao.url, "KEY_PROVIDER_TIMEOUT": "2", "KEK_CACHE_TTL": "3"}
    settings["WORKERS"] = "1"  # each process keeps the keys that it has unwrapped itself
    with serve(tmp_path / "var", fresh_database, **settings) as server:
        demo = server.quickstart()
        url, token = f"/v1/vaults/{demo['vault_id']}/secrets/app/key", demo["token"]
        body = {"type": "note", "value": "before"}
        assert server.request("PUT", url, body, token=token)[0] == 201
    with ExitStack() as outage:
        outage.enter_context(openbao.down())
        with serve(tmp_path / "var", fresh_database, **settings) as server:
            assert server.request("GET", "/v1/health/hsm")[1] == {"status": "unavailable"}
            assert server.request("GET", "/v1/health")[1]["status"] == "healthy"
            for method, content in (("GET", None), ("PUT", {"type": "note", "value": "lost"})):
                status, problem = server.request(method, url, content, token=token)
                assert (status, problem["status"]) == (500, 500)
                assert "bao" not in str(problem).lower()
            versions = f"/v1/vaults/{demo['vault_id']}/secret-versions/app/key"
            # Nor can a look at metadata, for which an event is to be left.
            assert server.request("GET", versions, token=token)[0] == 500
            outage.close()
            until(server, "ok")
            assert server.request("PUT", url, body, token=token)[0] == 201
            with openbao.down():
                # Away again: what is unwrapped already works until the cache ends.
                assert server.request("GET", url, token=token)[1]["value"] == "before"
                until(server, "unavailable")
                assert len(server.request("GET", versions, token=token)[1]["versions"]) == 2
                deadline = time.monotonic() + 20
                while server.request("GET", url, token=token)[0] == 200:
                    assert time.monotonic() < deadline
                    time.sleep(0.2)
                assert server.request("GET", url, token=token)[0] == 500


def test_a_provider_that_stalls_holds_up_nobody_else(tmp_path, fresh_database, openbao):
    settings = {
        "ROOT_KEY_URLS": openbao.url,
        "KEY_PROVIDER_TIMEOUT": "1",
        "KEK_CACHE_TTL": "0",
        "RATE_LIMIT": "",
    }
    with serve(tmp_path / "var", fresh_database, **settings) as server:
        demo = server.quickstart()
        vault, token = f"/v1/vaults/{demo['vault_id']}", demo["api_key"]
        body = {"type": "note", "value": "kept"}
        assert server.request("PUT", f"{vault}/secrets/a", body, token)[0] == 201

        def ask(number):
            method, sent = (("PUT", body), ("GET", None))[number % 2]
            return server.exchange(method, f"{vault}/secrets/a", sent, token)

        with openbao.stalled(), ThreadPoolExecutor(80) as pool:
            # More than there are threads to wait: each is answered, in its turn.
            asked = [pool.submit(ask, number) for number in range(80)]
            # What needs no key goes on meanwhile.
            for path in ("/livez", "/v1/openapi.json"):
                assert server.exchange("GET", path)[0] == 200
            assert not all(each.done() for each in asked), "they waited for the rest"
            answers = [each.result() for each in asked]
        for status, headers, _ in answers:
            assert status == 500
            assert headers["Content-Type"] == "application/problem+json"
            assert int(headers["Retry-After"]) > 0
        until(server, "ok")
        assert server.request("PUT", f"{vault}/secrets/a", body, token)[1]["version"] == 2
        assert server.request("GET", f"{vault}/secrets/a", token=token)[1]["value"] == "kept"


def test_a_wrong_root_key_is_refused_at_start_with_what_to_do(tmp_path, fresh_database):
    home = tmp_path / "var"
    with serve(home, fresh_database) as server:
        server.quickstart()
    (home / "root.key").write_bytes(base64.b64encode(os.urandom(32)))
    with (
        pytest.raises(AssertionError, match="did not start") as caught,
        serve(home, fresh_database),
    ):
        pass
    assert "secrets_app.E008" in str(caught.value)
    assert "Restore the root key" in str(caught.value)

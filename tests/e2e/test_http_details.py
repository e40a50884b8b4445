"""Details of HTTP that only a real server shows."""

import http.client
import json

import pytest


@pytest.fixture(scope="module")
def demo(server):
    return server.quickstart()


@pytest.fixture
def send(server, demo):
    """One raw request over a connection of its own: status, headers, body."""
    made = []

    def request(method, path, content=None, **headers):
        connection = http.client.HTTPConnection(server.base_url.removeprefix("http://"), timeout=30)
        made.append(connection)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(
            method,
            f"/v1/vaults/{demo['vault_id']}/{path}",
            body=None if content is None else json.dumps(content),
            headers={"Authorization": f"Bearer {demo['token']}", "Content-Type": "application/json"}
            | named,
        )
        response = connection.getresponse()
        return response.status, response.headers, response.read()

    yield request
    for connection in made:
        connection.close()


def test_an_encoded_slash_is_decoded_once(send):
    assert send("PUT", "secrets/enc%2Foded", {"type": "note", "value": "x"})[0] == 201
    assert json.loads(send("GET", "secrets/enc/oded")[2])["path"] == "enc/oded"
    assert send("GET", "secrets/enc%252Foded")[0] == 400


@pytest.mark.parametrize(
    "path", ["a/../b", "./a", "a/%2E%2E/b", "a//b", "a%0A", "a/", "%2e", "a%00", "a;b", "a%3Fb"]
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_a_server_in_front_does_not_tidy_a_path_up(send, method, path):
    assert send(method, f"secrets/{path}")[0] == 400


def test_head_has_the_headers_and_no_body(send):
    send("PUT", "secrets/head", {"type": "note", "value": "x", "max_access_count": 1})
    for _ in range(2):
        status, headers, content = send("HEAD", "secrets/head")
        assert (status, headers["ETag"], content) == (200, '"1"', b"")
    assert send("GET", "secrets/head")[0] == 200
    assert send("HEAD", "secrets/head")[0] == 410


def test_a_304_has_no_body(send):
    send("PUT", "secrets/known", {"type": "note", "value": "x"})
    status, headers, content = send("GET", "secrets/known", If_None_Match='"1"')
    assert (status, headers["ETag"], content) == (304, '"1"', b"")


def test_options_says_what_a_route_takes(send):
    status, headers, content = send("OPTIONS", "secrets/a")
    assert (status, content) == (204, b"")
    assert set(headers["Allow"].split(", ")) == {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}


def test_browsers_of_other_origins_get_nothing_by_default(send):
    _, headers, _ = send("GET", "secrets", Origin="https://app.example.com")
    assert not [name for name in headers if name.lower().startswith("access-control")]


def test_a_named_origin_gets_in(tmp_path):
    from tests.e2e.server import serve

    origin = "https://app.example.com"
    with serve(tmp_path / "var", CORS_ALLOWED_ORIGINS=origin) as server:
        connection = http.client.HTTPConnection(server.base_url.removeprefix("http://"), timeout=30)
        for asking, answered in [(origin, origin), ("https://evil.example.com", None)]:
            headers = {
                "Origin": asking,
                "Access-Control-Request-Method": "PUT",
                "Access-Control-Request-Headers": "authorization,idempotency-key",
            }
            connection.request("OPTIONS", "/v1/vaults", headers=headers)
            response = connection.getresponse()
            response.read()
            assert response.headers["Access-Control-Allow-Origin"] == answered
        connection.close()

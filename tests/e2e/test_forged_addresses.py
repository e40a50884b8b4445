"""Issue 14, point 1: what a client writes into forwarding headers does not count, however it spells them.

Real proxies, told to hand on names with underscores. `relay` stands for one that sends a line of its own
after the client's lines and changes nothing else.
"""

import http.client
import json
from contextlib import ExitStack
from itertools import count

import pytest

from tests.e2e.production import production
from tests.e2e.proxies import PROGRAMS, proxy

pytestmark = pytest.mark.only_on("sqlite")  # the database is not what is tried here

FORGED = "198.51.100.7"
CLIENT = "127.0.0.2"  # the proxy is 127.0.0.1, and trusted
SETTINGS = {
    "INSECURE_HTTP": "off",
    "ALLOWED_HOSTS": "127.0.0.1",
    "TRUST_X_FORWARDED_PROTO": "on",
    "TRUSTED_PROXIES": "127.0.0.1/32",
    "METRICS_NETWORKS": f"{FORGED}/32",
}
HYPHEN, UNDERSCORE = ("X-Forwarded-For", FORGED), ("X_Forwarded_For", FORGED)
SPELLINGS = [
    [UNDERSCORE],
    [HYPHEN],
    [UNDERSCORE, HYPHEN],
    [HYPHEN, UNDERSCORE],
    [("x-forwarded_for", FORGED), ("X_FORWARDED-FOR", FORGED)],
    [HYPHEN, HYPHEN, UNDERSCORE],
]
_numbers = count()


class Door:
    """A way to the server: through a proxy, or as one that writes lines of its own."""

    def __init__(self, server, tls, plain, *, is_relay):
        self.server, self._tls, self._plain, self._is_relay = server, tls, plain, is_relay

    def send(self, method, path, body=None, headers=(), *, is_tls=True):
        port = self._tls if is_tls else self._plain
        source = ("127.0.0.1" if self._is_relay else CLIENT, 0)
        connection = http.client.HTTPConnection("127.0.0.1", port, 30, source_address=source)
        lines = [("Content-Type", "application/json"), *headers]
        if self._is_relay:
            proto = "https" if is_tls else "http"
            lines += [("X-Forwarded-For", CLIENT), ("X-Forwarded-Proto", proto)]
        connection.putrequest(method, path)
        data = b"" if body is None else json.dumps(body).encode()
        for name, value in lines:
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.headers, content


@pytest.fixture(scope="module", params=["relay", "nginx", "caddy", "haproxy"])
def door(request, tmp_path_factory):
    if request.param != "relay" and PROGRAMS[request.param] is None:
        pytest.skip(f"{request.param} is not installed")
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        server = stack.enter_context(production(folder / "app", **SETTINGS))
        upstream = server.base_url.removeprefix("http://")
        port = int(upstream.rpartition(":")[2])
        ports = (port, port)
        if request.param != "relay":
            ports = stack.enter_context(proxy(request.param, upstream, folder / "proxy"))
        yield Door(server, *ports, is_relay=request.param == "relay")


@pytest.fixture(scope="module")
def demo(door):
    return door.server.quickstart()


@pytest.fixture(scope="module")
def bearer(demo):
    return [("Authorization", f"Bearer {demo['token']}")]


@pytest.fixture(scope="module")
def agent(door, demo, bearer):
    """Who may read everything, from the forged address only."""
    made = json.loads(door.send("POST", "/v1/agents", {"name": "forger"}, bearer)[2])
    policy = {
        "secret_path_pattern": "**",
        "principal_type": "agent",
        "principal_id": made["agent"]["id"],
        "permissions": ["read"],
        "conditions": {"ip_allowlist": [f"{FORGED}/32"]},
    }
    url = f"/v1/vaults/{demo['vault_id']}"
    assert door.send("POST", f"{url}/policies", policy, bearer)[0] == 201
    secret = {"type": "note", "value": "v"}
    assert door.send("PUT", f"{url}/secrets/a", secret, bearer)[0] == 201
    token = door.send("POST", "/v1/auth/agent-token", {"api_key": made["api_key"]})
    return [("Authorization", f"Bearer {json.loads(token[2])['access_token']}")]


@pytest.mark.parametrize("forged", SPELLINGS, ids=range(len(SPELLINGS)))
def test_an_allowlist_refuses_and_the_event_has_the_true_address(door, demo, bearer, agent, forged):
    url = f"/v1/vaults/{demo['vault_id']}/secrets/a"
    for lines in ([*agent, *forged], [*forged, *agent]):
        assert door.send("GET", url, None, lines)[0] == 403
    path = f"address-{next(_numbers)}"
    own = f"/v1/vaults/{demo['vault_id']}/secrets/{path}"
    assert door.send("PUT", own, {"type": "note", "value": "v"}, [*forged, *bearer])[0] == 201
    events = json.loads(door.send("GET", "/v1/audit/events?limit=20", None, bearer)[2])["events"]
    (event,) = [each for each in events if each["details"].get("path") == path]
    assert event["ip_address"] == CLIENT


@pytest.mark.parametrize("name", ["X_Forwarded_For", "X-Forwarded-For"])
def test_wrong_passwords_from_one_machine_meet_the_lockout(door, demo, name):
    statuses = [
        door.send(
            "POST",
            "/v1/auth/token",
            {"email": f"{name}@example.com", "password": "wrong"},
            [(name, f"198.51.100.{number}")],
        )[0]
        for number in range(25)
    ]
    assert set(statuses[:9]) == {401}
    assert statuses[-1] == 429


@pytest.mark.parametrize(
    "forged",
    [
        [("X_Forwarded_Proto", "https")],
        [("X-Forwarded_Proto", "https"), ("x_forwarded-proto", "https")],
    ],
)
def test_a_plain_request_does_not_become_a_secure_one(door, forged):
    assert door.send("GET", "/v1/health", None, forged, is_tls=False)[0] == 301
    assert door.send("GET", "/v1/health", None, forged, is_tls=True)[0] == 200


@pytest.mark.parametrize("forged", SPELLINGS, ids=range(len(SPELLINGS)))
def test_metrics_are_not_there_for_a_forged_address(door, forged):
    assert door.send("GET", "/metrics", None, forged)[0] == 404


def test_no_header_at_all_reaches_the_service_under_another_name(door, demo, bearer):
    url = f"/v1/vaults/{demo['vault_id']}/secrets/a"
    ((_, token),) = bearer
    stored = json.loads(door.send("PUT", url, {"type": "note", "value": "v"}, bearer)[2])
    known = f'"{stored["version"]}"'
    assert door.send("GET", url, None, [("If-None-Match", known), *bearer])[0] == 304
    assert door.send("GET", url, None, [("If_None_Match", known), *bearer])[0] == 200
    assert door.send("PUT", url, {"type": "note", "value": "v"}, [("If_Match", '"9"'), *bearer])[
        0
    ] in (200, 201)
    key = [("Idempotency_Key", "k-1"), *bearer]
    first = door.send("PUT", url, {"type": "note", "value": "v"}, key)
    again = door.send("PUT", url, {"type": "note", "value": "v"}, key)
    assert json.loads(first[2])["version"] != json.loads(again[2])["version"]
    # The names differ, and so would these if they were one.
    assert door.send("GET", url, None, [("Author_ization", token)])[0] == 401

"""Attacks by who names an issuer or its keys, issue 17, point 7: SSRF, slow, huge and lying answers."""

import json
import socket
import threading
import time
from ipaddress import ip_address

import pytest
import time_machine

from secrets_app.errors import OutboundError
from secrets_app.federation import issuers as federation
from secrets_app.federation.issuers import issuer_keys
from secrets_app.models import AuditEvent
from secrets_app.outbound import anywhere, is_public, parse_url, send
from tests.api.test_assertion_sign_in import agent_id, identity, sign_in, why  # noqa: F401
from tests.cast import Api
from tests.issuers import AUDIENCE, claims_of, page, sign

INSIDE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.8.8.8",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::808:808",
    "100::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
OUTSIDE = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]


@pytest.fixture(autouse=True)
def _nothing_kept():
    issuer_keys.forget()


@pytest.fixture
def names(monkeypatch):
    """What names are looked up as, and where connections go: nowhere but to this machine."""
    told, asked, connected = {}, [], []
    real = socket.create_connection

    def look_up(host, port, *_, **__):
        if host in told:  # not an address, which connecting spells out once more
            asked.append(host)
        answers = told.get(host, [host])
        found = answers.pop(0) if isinstance(answers[0], list) else answers
        kind = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, *kind, (address, port))
            for address in found
        ]

    def connect(address, timeout):
        connected.append(address)
        if not ip_address(address[0]).is_loopback:
            raise ConnectionRefusedError
        return real(address, timeout=timeout)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "create_connection", connect)
    return type("Names", (), {"told": told, "asked": asked, "connected": connected})


@pytest.mark.parametrize("address", INSIDE)
def test_no_address_inside_is_reached(address, names):
    from secrets_app.networks import parse_address

    assert not is_public(parse_address(address))
    names.told["issuer.example.com"] = [address]
    with pytest.raises(OutboundError) as refused:
        send("GET", parse_url("https://issuer.example.com/"), timeout_s=1, most_bytes=9)
    assert refused.value.reason == "no_address"
    assert not names.connected


def test_addresses_of_the_internet_are(names):
    from secrets_app.networks import parse_address

    for address in OUTSIDE:
        assert is_public(parse_address(address)), address
    names.told["issuer.example.com"] = ["8.8.8.8", "127.0.0.1"]
    with pytest.raises(OutboundError):
        send("GET", parse_url("https://issuer.example.com/"), timeout_s=1, most_bytes=9)
    assert not names.connected  # one that is inside spoils all


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example.com",
        "ftp://issuer.example.com",
        "file:///etc/passwd",
        "https:///keys",
        "https://user@issuer.example.com",
        "https://user:secret@issuer.example.com",
        "https://issuer.example.com@127.0.0.1",
        "https://issuer.example.com#@127.0.0.1",
        "https://issuer.example.com\\@127.0.0.1",
        "https://issuer.example.com:8443",
        "https://issuer.example.com:22",
        "https://issuer.example.com:0",
        "https://issuer.example.com:",
        "https://issuer.example.com:99999",
        "https://issuer.example.com:x",
        "https://2130706433",
        "https://0x7f000001",
        "https://0x7f.1",
        "https://0177.0.0.1",
        "https://127.1",
        "https://1.2.3.4.5",
        "https://[::1",
        "https://[fe80::1%25eth0]",
        "https://%31%32%37.0.0.1",
        "https://issuer..example.com",
        "https://-issuer.example.com",
        "https://ⓘssuer.example.com",
        "https://issuer。example.com",
        "https://issuer.example.com/a b",
        "https://issuer.example.com/a\\b",
        "https://issuer.example.com/\r\nHost: x",
        "HTTPS:issuer.example.com",
        "//issuer.example.com",
        "https://" + "x" * 64 + ".example.com",
        "https://" + "x." * 126 + "example.com",
        "https://example.com/" + "x" * 1024,
    ],
)
def test_a_url_that_readers_disagree_on_is_refused_when_it_is_set(alice, agent_id, url):  # noqa: F811
    fields = {"name": "x", "issuer": "https://i.example.com", "audience": "x"}
    fields |= {"claims": {"sub": "w"}}
    path = f"/v1/agents/{agent_id}/identities"
    for name, more in (("jwks_url", {"jwks_url": url}), ("issuer", {"issuer": url})):
        answer = alice.api.post(path, fields | more)
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [name])
    assert alice.api.get(path).json() == {"identities": []}


def test_a_url_that_a_discovery_document_names_is_bounded_as_well():
    longest = "https://example.com/".ljust(1024, "x")
    assert parse_url(longest).host == "example.com"
    with pytest.raises(OutboundError) as refused:
        parse_url(longest + "x")
    assert refused.value.reason == "malformed_url"


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1"])
def test_an_address_is_judged_like_a_name(alice, agent_id, issuer, names, address):  # noqa: F811
    url = f"https://{address}/keys"
    assert identity(alice, agent_id, issuer, jwks_url=url).status_code == 201
    answer = sign_in(agent_id, sign("rsa", claims_of(issuer.url)))
    assert answer.status_code == 500
    assert not names.connected


def unavailable(answer):
    """Told as a part that is away, and the log knows why."""
    assert answer.status_code == 500, answer.content
    assert int(answer["Retry-After"]) > 0
    assert "reached" in answer.json()["detail"]
    event = AuditEvent.objects.filter(action="auth.failure").order_by("id").last()
    assert event.details["method"] == "assertion"
    return event.details["reason"]


def test_an_issuer_that_nobody_named_is_asked_at_public_addresses_only(
    alice,
    agent_id,  # noqa: F811
    settings,
    names,
):
    issuer = "https://intranet.example.com"
    fields = {"name": "x", "issuer": issuer, "audience": AUDIENCE, "claims": {"sub": "w"}}
    assert alice.api.post(f"/v1/agents/{agent_id}/identities", fields).status_code == 201
    many = [f"8.8.8.{n}" for n in range(9)]
    for told in (["10.0.0.5"], ["127.0.0.1"], ["8.8.8.8", "::1"], many):
        names.told["intranet.example.com"] = told
        issuer_keys.forget()
        answer = sign_in(agent_id, sign("rsa", claims_of(issuer)))
        assert unavailable(answer) == "issuer_no_address"
    assert not names.connected


def test_a_name_is_looked_up_once_and_its_first_address_is_where_it_goes(issuer_server, names):
    """DNS rebinding: what was judged is what is connected to, whatever the name means a moment later."""
    port = issuer_server.port
    names.told["rebind.example.com"] = [["8.8.8.8"], ["127.0.0.1"], ["127.0.0.1"]]
    url = parse_url(f"https://rebind.example.com:{port}/", any_port=True)
    before = len(issuer_server.asked)
    with pytest.raises(OutboundError):
        send("GET", url, timeout_s=2, most_bytes=9, ca_file=str(issuer_server.ca_file))
    assert names.asked == ["rebind.example.com"]
    assert names.connected == [("8.8.8.8", port)]
    assert len(issuer_server.asked) == before


def test_the_certificate_is_for_the_name_and_of_a_trusted_authority(issuer_server, names):
    port, ca_file = issuer_server.port, str(issuer_server.ca_file)
    names.told |= {"localhost": ["127.0.0.1"], "other.example.com": ["127.0.0.1"]}

    def ask(host, ca_file):
        url = parse_url(f"https://{host}:{port}/none", any_port=True)
        answer = send("GET", url, timeout_s=5, most_bytes=99, may_reach=anywhere, ca_file=ca_file)
        return answer.status

    assert ask("localhost", ca_file) == 404
    for host, trusted in (("other.example.com", ca_file), ("localhost", None)):
        with pytest.raises(OutboundError) as refused:
            ask(host, trusted)
        assert refused.value.reason == "certificate_not_valid"
    with pytest.raises(OutboundError) as refused:
        ask("localhost", "/none/such.pem")
    assert refused.value.reason == "ca_file_unusable"


def test_an_answer_is_read_up_to_its_bound_and_no_further(issuer):
    url = parse_url(f"https://localhost:{issuer.server.port}{issuer.jwks}", any_port=True)

    def ask(most_bytes):
        ca_file = str(issuer.server.ca_file)
        return send(
            "GET", url, timeout_s=5, most_bytes=most_bytes, may_reach=anywhere, ca_file=ca_file
        )

    length = len(ask(100_000).body)
    assert length > 100
    assert len(ask(length).body) == length
    with pytest.raises(OutboundError) as refused:
        ask(length - 1)
    assert refused.value.reason == "answer_too_large"


def test_a_url_of_somebody_elses_gains_nothing_from_a_trusted_issuer(
    alice,
    agent_id,  # noqa: F811
    issuer,
    names,
):
    """FEDERATION_ISSUERS lets its own discovery go inside, not a `jwks_url` beside its name."""
    names.told["localhost"] = ["127.0.0.1"]
    assert identity(alice, agent_id, issuer).status_code == 201
    inside = f"https://localhost:{issuer.server.port}{issuer.jwks}"
    assert identity(alice, agent_id, issuer, jwks_url=inside).status_code == 400
    url = f"https://localhost{issuer.jwks}"
    made = identity(alice, agent_id, issuer, jwks_url=url, audience="other")
    assert made.status_code == 201
    before = len(names.connected)
    assert sign_in(agent_id, sign("rsa", claims_of(issuer.url, aud="other"))).status_code == 500
    assert len(names.connected) == before
    assert sign_in(agent_id, sign("rsa", claims_of(issuer.url))).status_code == 200


def test_no_redirect_is_followed(alice, agent_id, issuer):  # noqa: F811
    identity(alice, agent_id, issuer)
    target = f"https://localhost:{issuer.server.port}{issuer.path}/target"
    for status in (301, 302, 303, 307, 308):
        issuer.server.pages[issuer.jwks] = page({}, status, Location=target)
        issuer_keys.forget()
        assert unavailable(sign_in(agent_id, sign("rsa", claims_of(issuer.url))))
    assert f"{issuer.path}/target" not in issuer.server.asked


def test_a_discovery_document_of_another_issuer_is_refused(alice, agent_id, issuer):  # noqa: F811
    """Mix-up: who controls one document must not speak for another."""
    identity(alice, agent_id, issuer)
    for wrong in (issuer.url + "/", "https://other.example.com", None, 5, [issuer.url]):
        issuer.publish("rsa", issuer=wrong)
        issuer_keys.forget()
        answer = sign_in(agent_id, sign("rsa", claims_of(issuer.url)))
        assert unavailable(answer) == "issuer_other_issuer"
    for wrong in ("http://localhost/keys", "file:///etc/passwd", None, 5, "keys"):
        issuer.publish("rsa", jwks_uri=wrong)
        issuer_keys.forget()
        answer = sign_in(agent_id, sign("rsa", claims_of(issuer.url)))
        assert unavailable(answer) in ("issuer_malformed_url", "issuer_no_jwks_uri")


def endless(handler):
    """Ten megabytes, without saying how long it will be."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(160):
        handler.wfile.write(b" " * 65_536)


def interim(handler):
    """Answers that are none yet (RFC 9110, 15.2), for as long as anybody reads them."""
    while True:
        handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def chunked(*parts):
    """An answer in chunks: `parts` after its head, the last of them again and again."""

    def answer(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        handler.wfile.write(b"".join(parts[:-1]))
        while True:
            handler.wfile.write(parts[-1] * 1000)

    return answer


LIES = {
    "ten megabytes": (page(b"{" + b" " * 10_000_000 + b"}"), "issuer_answer_too_large"),
    "endless": (endless, "issuer_answer_too_large"),
    "answers before the answer": (interim, "issuer_answer_too_large"),
    "chunks of a byte": (chunked(b"1\r\nx\r\n"), "issuer_answer_too_large"),
    "trailers": (chunked(b"0\r\n", b"x: y\r\n"), "issuer_answer_too_large"),
    "packed": (page({"keys": []}, Content_Encoding="gzip"), "issuer_encoded_answer"),
    "cut off": (page(b"{}", Content_Length="100"), "issuer_no_answer"),
    "thousands of keys": (page({"keys": [{"kty": "RSA"}] * 5000}), "issuer_malformed_keys"),
    "deep": (page(b"[" * 50_000 + b"]" * 50_000), "issuer_malformed_keys"),
    "twice": (page(b'{"keys": [], "keys": []}'), "issuer_malformed_keys"),
    "no set": (page([]), "issuer_malformed_keys"),
    "no objects": (page({"keys": ["x"]}), "issuer_malformed_keys"),
    "no JSON": (page(b"<html>"), "issuer_malformed_keys"),
    "long number": (page(b'{"keys": ' + b"9" * 5000 + b"}"), "issuer_malformed_keys"),
    "not there": (page({}, 404), "issuer_not_found"),
    "broken": (page({}, 500), "issuer_not_found"),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_answer_beyond_its_bounds_is_no_answer(alice, agent_id, issuer, lie):  # noqa: F811
    identity(alice, agent_id, issuer)
    issuer.server.pages[issuer.jwks], reason = LIES[lie]
    assert unavailable(sign_in(agent_id, sign("rsa", claims_of(issuer.url)))) == reason


def dripping(handler):
    """A header, a letter at a time, for as long as anybody listens."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        handler.wfile.write(b"x")
        time.sleep(0.02)


def silent(handler):
    handler.rfile.read(1)


@pytest.mark.parametrize("slow", [dripping, silent])
def test_a_slow_issuer_costs_its_time_and_no_more(
    alice,
    agent_id,  # noqa: F811
    issuer,
    monkeypatch,
    slow,
):
    monkeypatch.setattr(federation, "TIMEOUT_S", 0.5)
    identity(alice, agent_id, issuer)
    issuer.server.pages[issuer.jwks] = slow
    began = time.monotonic()
    reason = unavailable(sign_in(agent_id, sign("rsa", claims_of(issuer.url))))
    assert reason == "issuer_timeout"
    assert time.monotonic() - began < 4
    # For a while nobody asks it again: the next is told at once.
    began, asked = time.monotonic(), len(issuer.asked)
    assert unavailable(sign_in(agent_id, sign("rsa", claims_of(issuer.url)))) == "issuer_timeout"
    assert len(issuer.asked) == asked
    for thread in threading.enumerate():
        if thread.name == "issuer-keys":
            thread.join(5)
            assert not thread.is_alive()


def test_a_handshake_that_never_ends_is_broken_off(names):
    names.told["slow.example.com"] = ["127.0.0.1"]
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        url = parse_url(f"https://slow.example.com:{port}/", any_port=True)
        with pytest.raises(OutboundError) as refused:
            send("GET", url, timeout_s=0.3, most_bytes=9, may_reach=anywhere)
    assert refused.value.reason == "timeout"


def test_a_key_that_is_not_there_is_looked_for_once_a_minute(alice, agent_id, issuer):  # noqa: F811
    identity(alice, agent_id, issuer)
    with time_machine.travel(time.time(), tick=False) as clock:
        assert sign_in(agent_id, sign("rsa", claims_of(issuer.url))).status_code == 200
        issuer.publish("rsa", "rsa-2")
        for _ in range(20):
            assert why(sign_in(agent_id, sign("rsa-2", claims_of(issuer.url)))) == "unknown_key"
        assert len(issuer.asked) == 1
        clock.shift(61)
        assert sign_in(agent_id, sign("rsa-2", claims_of(issuer.url))).status_code == 200
        for _ in range(20):
            answer = sign_in(agent_id, sign("rsa", claims_of(issuer.url), kid="other"))
            assert why(answer) == "unknown_key"
        assert len(issuer.asked) == 2


def test_a_key_that_the_issuer_took_back_is_refused_within_ten_minutes(
    alice,
    agent_id,  # noqa: F811
    issuer,
):
    identity(alice, agent_id, issuer)
    with time_machine.travel(time.time(), tick=False) as clock:
        assert sign_in(agent_id, sign("rsa", claims_of(issuer.url))).status_code == 200
        issuer.publish("rsa-2")
        clock.shift(599)
        assert sign_in(agent_id, sign("rsa", claims_of(issuer.url))).status_code == 200
        clock.shift(2)
        assert why(sign_in(agent_id, sign("rsa", claims_of(issuer.url)))) == "unknown_key"


def test_while_the_issuer_is_away_its_keys_serve_for_an_hour(alice, agent_id, issuer):  # noqa: F811
    identity(alice, agent_id, issuer)
    with time_machine.travel(time.time(), tick=False) as clock:
        assert sign_in(agent_id, sign("rsa", claims_of(issuer.url))).status_code == 200
        issuer.go_away()
        clock.shift(3599)
        assert sign_in(agent_id, sign("rsa", claims_of(issuer.url))).status_code == 200
        # Nobody knows whether it has this one by now.
        answer = sign_in(agent_id, sign("rsa-2", claims_of(issuer.url)))
        assert unavailable(answer) == "issuer_not_found"
        clock.shift(1)
        answer = sign_in(agent_id, sign("rsa", claims_of(issuer.url)))
        assert unavailable(answer) == "issuer_not_found"
        issuer.publish("rsa")
        clock.shift(61)
        assert sign_in(agent_id, sign("rsa", claims_of(issuer.url))).status_code == 200


def test_a_clock_that_was_set_back_keeps_no_key_alive(alice, agent_id, issuer):  # noqa: F811
    identity(alice, agent_id, issuer)
    with time_machine.travel(time.time() + 7200, tick=False):
        assert sign_in(agent_id, sign("rsa", claims_of(issuer.url))).status_code == 200
    issuer.publish("rsa-2")
    assert why(sign_in(agent_id, sign("rsa", claims_of(issuer.url)))) == "unknown_key"


def test_nobody_is_asked_for_a_token_that_cannot_be_good(alice, agent_id, issuer):  # noqa: F811
    """Strangers who know an agent's id must not make this server ask around."""
    identity(alice, agent_id, issuer)
    for claims in ({"aud": "x"}, {"sub": "x"}, {"exp": 1}, {"iat": 1}, {"iss": issuer.url + "/"}):
        assert sign_in(agent_id, sign("rsa", claims_of(issuer.url) | claims)).status_code == 401
    assert issuer.discovery not in issuer.server.asked


def test_making_an_identity_asks_nobody(alice, agent_id, issuer, names):  # noqa: F811
    assert identity(alice, agent_id, issuer).status_code == 201
    assert not names.asked


def test_an_issuer_that_is_away_says_so_at_the_vault_door_too(alice, agent_id, issuer):  # noqa: F811
    identity(alice, agent_id, issuer)
    issuer.go_away()
    content = json.dumps({"role": agent_id, "jwt": sign("rsa", claims_of(issuer.url))})
    answer = Api().post("/vault/v1/auth/jwt/login", content)
    assert (answer.status_code, answer.json()) == (500, {"errors": ["internal error"]})
    assert int(answer["Retry-After"]) > 0

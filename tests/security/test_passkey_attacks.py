"""Hostile authenticators and browsers: every lie about a passkey is refused, and all of them alike."""

import json
import struct
import time
import tracemalloc
from collections import Counter

import pytest
from fido2 import cbor

from secrets_app.models import AuditEvent
from tests.accounts.sign_in import browser
from tests.accounts.test_passkeys import PASSWORDLESS
from tests.api.test_concurrency import all_at_once
from tests.authenticator import (
    HOST,
    ORIGIN,
    USER_PRESENT,
    USER_VERIFIED,
    Authenticator,
    decode,
    encode,
)
from tests.cast import Api
from tests.factors import (
    assert_with,
    begin,
    challenge,
    complete,
    register,
    sign_in_with,
    signed_in,
)


@pytest.fixture
def key(alice) -> Authenticator:
    made = Authenticator(counter=7)
    assert register(signed_in(), made).status_code == 201
    return made


def reasons(action="auth.failure"):
    found = AuditEvent.objects.filter(action=action, outcome="failure")
    return [event.details["reason"] for event in found]


def lie(key, **what):
    for name, value in what.items():
        setattr(key, name, value)
    return key


LIES = {
    "another origin": {"origin": "https://evil.example"},
    "the same host with another scheme": {"origin": f"https://{HOST}"},
    "another port": {"origin": f"http://{HOST}:8443"},
    "a host below": {"origin": f"http://login.{HOST}"},
    "no origin": {"origin": ""},
    "another relying party": {"rp_id": "evil.example"},
    "a relying party above": {"rp_id": "server"},
    "nobody verified": {"flags": USER_PRESENT},
    "nobody present": {"flags": USER_VERIFIED},
}


@pytest.mark.parametrize("what", LIES)
def test_a_lie_signs_nobody_in(key, what):
    answer = sign_in_with(lie(key, **LIES[what]))
    assert answer.status_code == 401
    assert answer.json()["detail"] == Api().get("/v1/auth/me").json()["detail"]
    assert "bad_passkey" in reasons()


@pytest.mark.parametrize("what", LIES)
def test_a_lie_registers_nothing(alice, what):
    api = signed_in()
    assert register(api, lie(Authenticator(), **LIES[what])).status_code == 400
    assert api.get("/v1/auth/passkeys").json() == {"passkeys": []}
    assert reasons("auth.second_factor_add") == ["bad_passkey"]


def test_a_challenge_is_answered_once(key):
    options = challenge()
    signed = key.sign(options)
    assert assert_with(signed).status_code == 200
    assert assert_with(signed).status_code == 401
    assert assert_with(key.sign(options)).status_code == 401
    assert reasons() == ["used_challenge", "used_challenge"]


def test_a_challenge_of_somebody_else_is_none(key):
    for made_up in (
        encode(b"x" * 56),
        encode(b""),
        challenge()["challenge"][:-4] + "AAAA",
        challenge()["challenge"] + "AAAA",
        begin(Api(sign_in_with(key).json()["access_token"]))["challenge"],  # of a registration
    ):
        assert assert_with(key.sign({"challenge": made_up})).status_code == 401
    assert set(reasons()) == {"bad_challenge"}


def test_a_challenge_to_sign_in_registers_nothing(alice):
    api = signed_in()
    assert complete(api, Authenticator().register(challenge())).status_code == 400


def test_a_time_in_a_challenge_cannot_be_moved(key):
    raw = decode(challenge()["challenge"])
    later = struct.pack(">Q", struct.unpack(">Q", raw[:8])[0] + 3600) + raw[8:]
    assert assert_with(key.sign({"challenge": encode(later)})).status_code == 401


def test_a_failed_answer_spends_no_challenge(key):
    """Else anybody who sees one could spend it."""
    options = challenge()
    signed = key.sign(options)
    broken = signed | {"signature": encode(bytes(70))}
    assert assert_with(broken).status_code == 401
    assert assert_with(signed).status_code == 200


def test_a_signature_of_another_key_is_none(key):
    signed = Authenticator(counter=50).sign(challenge())
    assert signed["credential_id"] == encode(key.credential_id)
    assert assert_with(signed).status_code == 401


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("signature", ""),
        ("signature", encode(b"\x30\x06\x02\x01\x00\x02\x01\x00")),  # r = s = 0
        ("authenticator_data", ""),
        ("authenticator_data", encode(bytes(37))),
        ("authenticator_data", encode(bytes(2000))),
        ("client_data_json", encode(b"{}")),
        ("client_data_json", encode(b"[" * 4000)),
        ("client_data_json", encode(b'{"challenge": 1}')),
        ("client_data_json", encode(b"\xff\xfe")),
        ("client_data_json", "not base64 ünï"),
        ("credential_id", "ünï"),
        ("credential_id", encode(b"unknown" * 5)),
        ("credential_id", "A"),
        ("user_handle", encode(b"x" * 16)),
        ("user_handle", ""),
    ],
)
def test_what_was_tampered_with_signs_nobody_in(key, field, value):
    answer = sign_in_with(key, **{field: value})
    assert answer.status_code in (400, 401)
    assert sign_in_with(key).status_code == 200


@pytest.mark.parametrize("count", [0, -1, -7])
def test_a_counter_that_does_not_go_up_tells_of_a_copy(key, count):
    assert sign_in_with(key).status_code == 200
    assert sign_in_with(key, count=count).status_code == 401
    assert reasons() == ["copied_passkey"]


def test_an_authenticator_that_does_not_count_is_taken(alice):
    key = Authenticator()
    register(signed_in(), key)
    for _ in range(2):
        assert sign_in_with(key, count=0).status_code == 200


def test_a_passkey_belongs_to_one_person(key, bob):
    """Who registers the id of somebody else's gets nothing by it, and takes nothing away."""
    api = signed_in("bob")
    assert register(api, Authenticator()).status_code == 409
    alices = Api(sign_in_with(key).json()["access_token"])
    assert register(alices, Authenticator()).status_code == 409
    assert sign_in_with(key).json()["user"]["email"] == "alice@example.com"
    assert api.get("/v1/auth/passkeys").json() == {"passkeys": []}


def test_nobody_sees_or_removes_the_passkeys_of_others(key, bob):
    alices = Api(sign_in_with(key).json()["access_token"])
    (listed,) = alices.get("/v1/auth/passkeys").json()["passkeys"]
    bobs = signed_in("bob")
    assert bobs.get("/v1/auth/passkeys").json() == {"passkeys": []}
    assert bobs.delete(f"/v1/auth/passkeys/{listed['id']}").status_code == 404
    assert sign_in_with(key).status_code == 200


def _deep(kind: int) -> bytes:
    return bytes([kind]) * 8000


BOMBS = {
    "nothing": b"",
    "noise": bytes(range(256)),
    "nested lists": _deep(0x81),
    "nested maps": _deep(0xA1),
    "a list of 2**64": b"\x9b" + b"\xff" * 8,
    "a text of 2**63": b"\x7b" + b"\x7f" + b"\xff" * 7,
    "a map without what it needs": cbor.encode({"fmt": "none"}),
    "no data": cbor.encode({"fmt": "none", "attStmt": {}, "authData": b""}),
    "a number for data": cbor.encode({"fmt": "none", "attStmt": {}, "authData": 7}),
    "a list": cbor.encode([1, 2, 3]),
    "something behind it": cbor.encode({"fmt": "none", "attStmt": {}, "authData": b""}) + b"\0",
}


@pytest.mark.parametrize("what", BOMBS)
def test_a_bomb_of_an_attestation_is_a_400_at_once(alice, what):
    api = signed_in()
    began = time.process_time()
    response = Authenticator().register(begin(api), attestation_object=encode(BOMBS[what]))
    assert complete(api, response).status_code == 400
    assert time.process_time() - began < 5, "bounded, whatever the machine"


def test_a_huge_one_is_not_even_looked_at(alice):
    api = signed_in()
    options = begin(api)
    response = Authenticator().register(options, attestation_object="A" * 20_000)
    assert complete(api, response).status_code == 400
    response = Authenticator().register(options, attestation_object="A" * 100_000)
    assert complete(api, response).status_code == 413


@pytest.mark.parametrize("fmt", ["", "ünï", "made-up", 7])
def test_an_unknown_format_is_refused(alice, fmt):
    api = signed_in()
    assert register_as(api, fmt=fmt).status_code == 400
    assert register_as(api, fmt="packed").status_code == 201


@pytest.mark.parametrize(
    "key",
    [
        {1: 3, 3: -65535, -1: bytes(256), -2: b"\1\0\1"},  # RS1: SHA-1
        {1: 2, 3: -35, -1: 2, -2: bytes(48), -3: bytes(48)},  # ES384: not asked for
        {1: 4, 3: 5, -1: bytes(32)},  # HMAC: a secret that the server would hold too
        {1: 2, 3: 0, -1: 1, -2: bytes(32), -3: bytes(32)},
        {1: 2},
    ],
)
def test_only_the_algorithms_that_were_asked_for_are_taken(alice, key):
    assert register_as(signed_in(), public_key=cbor.encode(key)).status_code == 400


def test_the_id_must_be_that_of_the_credential(alice):
    api = signed_in()
    response = Authenticator().register(begin(api), credential_id=encode(b"other" * 5))
    assert complete(api, response).status_code == 400


def register_as(api, **lies):
    return complete(api, Authenticator().register(begin(api), **lies))


@pytest.mark.django_db(transaction=True)
def test_of_many_answers_to_a_challenge_at_once_one_counts(key):
    signed = key.sign(challenge())
    answers = all_at_once(lambda _: assert_with(signed), 16)
    assert Counter(each.status_code for each in answers) == {200: 1, 401: 15}


MANY = 64_000_000


def peak_of(send):
    tracemalloc.start()
    try:
        return send(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("number", [MANY, 10**18, 10**30])
def test_a_number_for_a_challenge_takes_no_memory(alice, number):
    """A library takes it for a count of bytes, and makes that many. Nobody has to sign in for it."""
    client_data = encode(json.dumps({"type": "webauthn.get", "challenge": number}).encode())
    sent = dict.fromkeys(("credential_id", "authenticator_data", "signature"), "AAAA")
    answer, peak = peak_of(lambda: assert_with(sent | {"client_data_json": client_data}))
    assert answer.status_code == 401
    assert reasons() == ["bad_challenge"]
    assert peak < MANY / 4


@pytest.mark.parametrize("where", ["signature", "challenge"])
def test_a_number_takes_no_memory_on_the_page(db, where):
    client = browser()
    client.get(PASSWORDLESS)
    told = {"type": "webauthn.get", "challenge": "AAAA", "origin": ORIGIN} | {where: MANY}
    response = {"clientDataJSON": encode(json.dumps(told).encode()), "userHandle": "AAAA"}
    response |= dict.fromkeys(("signature", "authenticatorData"), "AAAA")
    response |= {where: MANY} if where == "signature" else {}
    credential = {"id": "AAAA", "rawId": "AAAA", "type": "public-key"}
    sent = {"credential": json.dumps(credential | {"response": response})}
    answer, peak = peak_of(lambda: client.post(PASSWORDLESS, sent))
    assert answer.status_code == 200
    assert "not accepted" in answer.content.decode()
    assert peak < MANY / 4

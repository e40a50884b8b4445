"""Attacks on tokens of other issuers, issue 17, point 7: what a forged or bent token gets.

Keys come with the identity here; `test_issuer_attacks` is about fetching them.
"""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from secrets_app.models import AssertionUse
from tests import issuers
from tests.api.test_assertion_sign_in import agent_id, sign_in, why  # noqa: F401
from tests.api.test_concurrency import all_at_once
from tests.issuers import AUDIENCE, claims_of, jwk, sign

ISSUER = "https://issuer.example.com"


def let_in(owner, agent_id, *keys, **fields):  # noqa: F811
    whole = {
        "name": "ci",
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "claims": {"sub": "w"},
        "jwks": {"keys": [*keys] or [jwk("rsa"), jwk("ec"), jwk("ed25519")]},
    }
    answer = owner.api.post(f"/v1/agents/{agent_id}/identities", whole | fields)
    assert answer.status_code == 201, answer.json()
    return answer.json()


def encoded(part):
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def bent(header, claims, signature=b"x"):
    return f"{encoded(header)}.{encoded(claims)}.{encoded(signature)}"


def by_hmac(secret, header, claims):
    signed = f"{encoded(header)}.{encoded(claims)}"
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"


@pytest.fixture
def entry(alice, agent_id):  # noqa: F811
    """An agent that an issuer's token of `sub` w may sign in as."""
    let_in(alice, agent_id)
    assert sign_in(agent_id, sign("rsa", claims_of(ISSUER))).status_code == 200
    return agent_id


def public_forms():
    public = issuers.key("rsa").public_key()
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER):
        yield public.public_bytes(encoding, info)
    yield json.dumps(jwk("rsa")).encode()
    yield b""


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512", "RS256"])
def test_a_public_key_is_no_secret_to_sign_with(entry, algorithm):
    for secret in public_forms():
        token = by_hmac(secret, {"alg": algorithm, "kid": "rsa"}, claims_of(ISSUER))
        assert why(sign_in(entry, token)) in ("algorithm_not_allowed", "wrong_signature")


@pytest.mark.parametrize(
    "algorithm",
    [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        None,
        5,
        [],
        ["RS256"],
        "RS384",
        "ES384",
        "rs256",
        "HS256",
    ],
)
def test_no_other_algorithm_is_taken_least_of_all_none(entry, algorithm):
    for signature in (b"", b"x"):
        token = bent({"alg": algorithm, "kid": "rsa"}, claims_of(ISSUER), signature)
        assert why(sign_in(entry, token)) == "algorithm_not_allowed"


def test_a_key_works_with_the_algorithms_of_its_type_alone(alice, agent_id):  # noqa: F811
    let_in(alice, agent_id, jwk("rsa", alg="RS256"), jwk("ec"), jwk("ed25519"))
    claims = claims_of(ISSUER)
    assert sign_in(agent_id, sign("rsa", claims, "RS256")).status_code == 200
    assert why(sign_in(agent_id, sign("rsa", claims, "PS256"))) == "unknown_key"
    for kind in ("rsa", "ec", "ed25519"):
        for other in {"rsa", "ec", "ed25519"} - {kind}:
            assert why(sign_in(agent_id, sign(kind, claims, kid=other))) == "unknown_key"


def test_a_signature_of_one_algorithm_is_none_of_another(entry):
    head, body, signature = sign("rsa", claims_of(ISSUER), "RS256").split(".")
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    for algorithm in ("PS256", "ES256", "EdDSA"):
        token = f"{encoded(header | {'alg': algorithm})}.{body}.{signature}"
        assert why(sign_in(entry, token)) in ("wrong_signature", "unknown_key")
    assert why(sign_in(entry, f"{head}.{body}.")) == "wrong_signature"


@pytest.mark.filterwarnings("ignore:The RSA key is 1024")
def test_keys_of_other_curves_and_too_small_ones_are_left_out(alice, agent_id):  # noqa: F811
    let_in(alice, agent_id, jwk("p384", kid="ec"), jwk("rsa-1024"), jwk("ed25519"))
    for kind in ("p384", "rsa-1024"):
        algorithm = "ES384" if kind == "p384" else "RS256"
        refused = why(sign_in(agent_id, sign(kind, claims_of(ISSUER), algorithm, kid=kind)))
        assert refused in ("unknown_key", "algorithm_not_allowed")
    # A point of one curve that says it is of another is no key at all.
    answer = alice.api.post(
        f"/v1/agents/{agent_id}/identities",
        {
            "name": "x",
            "issuer": ISSUER,
            "audience": "x",
            "claims": {"sub": "w"},
            "jwks": {"keys": [jwk("p384", crv="P-256")]},
        },
    )
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["jwks"])


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "/etc/passwd",
        "' OR 1=1 --",
        "rsa' UNION SELECT 'x",
        "",
        "RSA",
        "rsa ",
        "rsa\0",
        "\0" + "0",
        "x" * 257,
        "x" * 9000,
        ["rsa"],
        {"rsa": 1},
        5,
    ],
)
def test_a_kid_is_a_name_of_a_key_and_nothing_else(entry, kid):
    if isinstance(kid, str):
        token = sign("rsa-2", claims_of(ISSUER), "RS256", kid=kid)
    else:
        token = bent({"alg": "RS256", "kid": kid}, claims_of(ISSUER))
    assert why(sign_in(entry, token)) in ("unknown_key", "malformed_assertion")


def test_without_a_kid_the_one_key_there_is_must_fit(alice, agent_id):  # noqa: F811
    let_in(alice, agent_id, jwk("rsa"), jwk("ec", kid=None), jwk("rsa-2"))
    assert sign_in(agent_id, sign("ec", claims_of(ISSUER), kid=None)).status_code == 200
    assert why(sign_in(agent_id, sign("rsa", claims_of(ISSUER), kid=None))) == "unknown_key"


def test_a_kid_that_two_keys_have_names_neither(alice, agent_id):  # noqa: F811
    let_in(alice, agent_id, jwk("rsa"), jwk("rsa-2", kid="rsa"), jwk("ec", kid="rsa"))
    for kind in ("rsa", "rsa-2"):
        assert why(sign_in(agent_id, sign(kind, claims_of(ISSUER), kid="rsa"))) == "unknown_key"
    assert sign_in(agent_id, sign("ec", claims_of(ISSUER), kid="rsa")).status_code == 200


def test_no_key_is_taken_from_the_token_itself(entry, issuer_server):
    """`jwk`, `x5c`, and the URLs of `jku` and `x5u`, where the attacker's own keys are."""
    evil = issuer_server.issuer("rsa-2")
    url = evil.url + "/keys"
    for header in ({"jwk": jwk("rsa-2")}, {"jku": url}, {"x5u": url}, {"x5c": ["MIIB"]}):
        for kid in ("rsa", "rsa-2", None):
            token = sign("rsa-2", claims_of(ISSUER), "RS256", kid=kid, **header)
            assert why(sign_in(entry, token)) in ("unknown_key", "wrong_signature")
    assert not evil.asked


@pytest.mark.parametrize(
    "header", [{"crit": []}, {"crit": ["exp"]}, {"b64": True}, {"zip": "DEF"}, {"enc": "A256GCM"}]
)
def test_an_extension_that_nobody_here_knows_is_refused(entry, header):
    token = bent({"alg": "RS256", "kid": "rsa"} | header, claims_of(ISSUER))
    assert why(sign_in(entry, token)) == "unknown_extension"


@pytest.mark.parametrize("kind", ["dpop+jwt", "logout+jwt", "secevent+jwt", "", "xJWT", None, 5])
def test_a_jwt_with_a_purpose_of_its_own_signs_nobody_in(entry, kind):
    header = {"alg": "RS256", "kid": "rsa", "typ": kind}
    assert why(sign_in(entry, bent(header, claims_of(ISSUER)))) == "other_kind_of_token"


@pytest.mark.parametrize("kind", ["JWT", "jwt", "JOSE", "at+jwt", "application/jwt"])
def test_common_kinds_are_taken(entry, kind):
    assert sign_in(entry, sign("rsa", claims_of(ISSUER), typ=kind)).status_code == 200


@pytest.mark.parametrize(
    "audience",
    [
        None,
        "",
        AUDIENCE + "/",
        AUDIENCE.upper(),
        [],
        [AUDIENCE, "https://other.example.com"],
        ["https://other.example.com", AUDIENCE],
        [AUDIENCE, AUDIENCE],
        [[AUDIENCE]],
        {AUDIENCE: True},
        AUDIENCE + ",x",
        5,
        True,
    ],
)
def test_a_token_for_others_as_well_is_refused(entry, audience):
    """Whoever else it is for could send it on."""
    token = sign("rsa", claims_of(ISSUER, aud=audience))
    assert why(sign_in(entry, token)) == "other_audience"


@pytest.mark.parametrize(
    "issuer",
    [ISSUER + "/", ISSUER.upper(), ISSUER + "#", ISSUER + "\0", [ISSUER], None, "", 5, "x" * 600],
)
def test_an_issuer_is_compared_character_by_character(entry, issuer):
    token = sign("rsa", claims_of(ISSUER, iss=issuer))
    assert why(sign_in(entry, token)) in ("unknown_issuer", "no_issuer")


def test_the_keys_of_one_issuer_sign_for_no_other(alice, agent_id):  # noqa: F811
    """Mix-up: the agent trusts both, and each may say `w`, but not in the other's name."""
    other = "https://other.example.com"
    let_in(alice, agent_id, jwk("rsa"))
    let_in(alice, agent_id, jwk("rsa-2", kid="rsa"), issuer=other, claims={"sub": "x"})
    assert sign_in(agent_id, sign("rsa-2", claims_of(other, sub="x"), kid="rsa")).status_code == 200
    assert why(sign_in(agent_id, sign("rsa-2", claims_of(ISSUER), kid="rsa"))) == "wrong_signature"
    # What one identity says of claims is not what another says.
    assert why(sign_in(agent_id, sign("rsa", claims_of(ISSUER, sub="x")))) == "other_claims"


def test_a_token_for_one_agent_signs_in_as_no_other(alice, bob, agent_id, entry):  # noqa: F811
    others = bob.api.post("/v1/agents", {"name": "bobs"}).json()["agent"]["id"]
    token = sign("rsa", claims_of(ISSUER))
    assert why(sign_in(others, token)) == "unknown_issuer"


@pytest.mark.parametrize(
    "times",
    [
        {"exp": True},
        {"exp": "9999999999"},
        {"exp": 1e300},
        {"exp": 2**63},
        {"exp": [9999999999]},
        {"iat": -(2**60)},
        {"iat": False},
        {"nbf": "0"},
        {"nbf": 2**53 + 2},
    ],
)
def test_a_time_is_a_number_that_clocks_count(entry, times):
    refused = why(sign_in(entry, sign("rsa", claims_of(ISSUER) | times)))
    assert refused in ("malformed_assertion", "expired_assertion")


def test_json_that_means_two_things_means_nothing(entry):
    whole = json.dumps(claims_of(ISSUER))
    for raw in (
        whole[:-1] + ', "sub": "w"}',
        whole[:-1] + ', "aud": "x"}',
        whole.replace('"exp": ', '"exp": NaN, "e": '),
        whole.replace('"exp": ', '"exp": Infinity, "e": '),
        whole + "x",
        "\ufeff" + whole,
        whole.replace('"w"', '"\\ud800"'),
        "[" + whole + "]",
        "[" * 4000 + "]" * 4000,
        '{"a":' * 1500 + "1" + "}" * 1500,
        '{"exp": ' + "9" * 5000 + "}",
        "null",
        "",
    ):
        assert why(sign_in(entry, sign("rsa", raw.encode()))) == "malformed_assertion"
    header = b'{"alg":"RS256","kid":"rsa","kid":"rsa-2"}'
    assert why(sign_in(entry, bent(header, claims_of(ISSUER)))) == "malformed_assertion"


def test_a_token_is_written_in_one_way(entry):
    token = sign("rsa", claims_of(ISSUER))
    head, body, signature = token.split(".")
    spaced = f" {token}", f"{token}\n", f"{head}=.{body}.{signature}", f"{token}.{signature}"
    odd = f"{head}.{body}.{signature}.x.y", f"{head}.{body}", f"{head}..{signature}", f"{token}é"
    for each in (*spaced, *odd, token.replace(".", ".\n", 1), "." * 2, "{}", "x" * 16_384):
        assert why(sign_in(entry, each)) in ("malformed_assertion", "wrong_signature")


def test_a_claims_bomb_is_refused_before_it_is_read(entry):
    many = claims_of(ISSUER) | {f"c{n}": n for n in range(2000)}
    answer = sign_in(entry, sign("rsa", many))
    assert answer.status_code == 400
    assert b"c1999" not in answer.content


@pytest.mark.parametrize(
    "subject",
    [
        None,
        "",
        "W",
        "w ",
        "w\0",
        "w\u200b",
        "\uff57",
        ["w"],
        {"w": 1},
        True,
        5,
        "w/x",
        "w:",
    ],
)
def test_a_claim_is_text_and_exactly_that(entry, subject):
    assert why(sign_in(entry, sign("rsa", claims_of(ISSUER, sub=subject)))) == "other_claims"


def test_all_claims_must_hold(alice, agent_id):  # noqa: F811
    patterns = {"sub": "w", "environment": "prod", "flag": "true"}
    let_in(alice, agent_id, claims=patterns)
    right = claims_of(ISSUER, environment="prod", flag="true")
    assert sign_in(agent_id, sign("rsa", right)).status_code == 200
    for wrong in ({"environment": "dev"}, {"flag": True}, {"flag": None}, {"environment": None}):
        left = {name: value for name, value in (right | wrong).items() if value is not None}
        assert why(sign_in(agent_id, sign("rsa", left))) == "other_claims"


@pytest.mark.parametrize(
    "subject",
    [
        "repo:acme/x/y:ref:refs/heads/main",
        "repo:acme/:ref:refs/heads/main",
        "repo:acme/x:y:ref:refs/heads/main",
        "repo:acme/x:ref:refs/heads/main:x",
        "repo:acme/x:ref:refs/heads/main/",
        "repo/acme/x:ref:refs/heads/main",
        "repo:acme:x:ref:refs/heads/main",
        "xrepo:acme/x:ref:refs/heads/main",
        "repo:acme2/x:ref:refs/heads/main",
        "repo:acme/x:ref:refs/heads/main\n",
    ],
)
def test_a_star_stays_within_its_part(alice, agent_id, subject):  # noqa: F811
    let_in(alice, agent_id, claims={"sub": "repo:acme/*:ref:refs/heads/main"})
    good = "repo:acme/any-thing.at_all:ref:refs/heads/main"
    assert sign_in(agent_id, sign("rsa", claims_of(ISSUER, sub=good))).status_code == 200
    assert why(sign_in(agent_id, sign("rsa", claims_of(ISSUER, sub=subject)))) == "other_claims"


@pytest.mark.parametrize("name", ["n", "e"])
def test_keys_that_would_cost_time_are_left_out(alice, agent_id, name):  # noqa: F811
    """An RSA key with an exponent or a modulus of thousands of bits makes each verification slow."""
    huge = encoded(b"\x7f" + b"\xff" * 2047)
    keys = [jwk("rsa", **{name: huge}), jwk("rsa", kid="small", e="AQ"), jwk("ec")]
    keys.append(jwk("rsa", kid="even", e="Ag"))
    keys.append(jwk("rsa", kid="long", e=encoded(b"\x01" + b"\0" * 7 + b"\x01")))
    made = let_in(alice, agent_id, *keys)
    assert [each["kid"] for each in made["jwks"]["keys"]] == ["ec"]
    began = time.perf_counter()
    for kid in ("rsa", "small", "even", "long"):
        assert why(sign_in(agent_id, sign("rsa", claims_of(ISSUER), kid=kid))) == "unknown_key"
    assert time.perf_counter() - began < 5


def test_a_private_key_is_not_kept_but_refused(alice, agent_id):  # noqa: F811
    private = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(issuers.key("rsa")))
    secret = {"kty": "oct", "k": encoded(b"x" * 32), "kid": "rsa", "alg": "HS256"}
    for key in (private, secret):
        answer = alice.api.post(
            f"/v1/agents/{agent_id}/identities",
            {
                "name": "x",
                "issuer": ISSUER,
                "audience": "x",
                "claims": {"sub": "w"},
                "jwks": {"keys": [key]},
            },
        )
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["jwks"])
        assert key.get("d", key.get("k")) not in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_single_use_token_that_64_send_at_once_signs_in_once(alice, agent_id):  # noqa: F811
    let_in(alice, agent_id, single_use=True)
    token = sign("rsa", claims_of(ISSUER, jti="once"))
    answers = all_at_once(lambda _: sign_in(agent_id, token).status_code)
    assert sorted(answers) == [200] + [401] * (len(answers) - 1)
    digest = hashlib.sha256(f"{ISSUER}\0once".encode()).hexdigest()
    assert AssertionUse.objects.get().assertion_digest == digest


@pytest.mark.django_db(transaction=True)
def test_an_identity_that_is_deleted_under_many_sign_ins_leaves_no_token(
    alice,
    agent_id,  # noqa: F811
):
    from tests.cast import Api
    from tests.security.test_races import after_the_end

    made = let_in(alice, agent_id)
    token, tokens, owner = sign("ed25519", claims_of(ISSUER)), [], alice.api

    def act():
        answer = sign_in(agent_id, token)
        if answer.status_code == 200:
            tokens.append(answer.json()["access_token"])
        return answer.status_code

    before, after = after_the_end(
        act, lambda: owner.delete(f"/v1/agents/{agent_id}/identities/{made['id']}")
    )
    assert 200 in before
    assert set(after) == {401}
    assert {Api(each).get("/v1/agents/me").status_code for each in tokens} == {401}
    assert not AssertionUse.objects.exists()

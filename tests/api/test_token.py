import base64
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from secrets_app.crypto.signing import generate_signing_key_pem
from secrets_app.models import AuditEvent, Principal
from secrets_app.services.audit import OPERATOR
from secrets_app.services.identity.signing_keys import key_set
from secrets_app.services.identity.tokens import read_token, revoke_token
from tests.cast import Api


def works(token):
    return Api(token).get("/v1/vaults").status_code == 200


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


@pytest.fixture
def keys(settings, tmp_path):
    """Writes PEM blocks to a key file and makes the process use it."""

    def use(*blocks):
        file = tmp_path / f"jwt-{len(list(tmp_path.iterdir()))}.pem"
        file.write_bytes(b"".join(blocks))
        file.chmod(0o600)
        settings.SECRETS_APP = settings.SECRETS_APP | {"JWT_KEY_FILE": str(file)}

    return use


def test_a_token_has_the_documented_header_and_claims(alice):
    token = alice.token
    header, claims = jwt.get_unverified_header(token), claims_of(token)
    assert header["alg"] == "EdDSA"
    assert header["kid"]
    assert claims["sub"] == f"user:{alice.principal.id}"
    assert claims["iss"] == "vaultsite"
    assert claims["exp"] - claims["iat"] == 900
    assert claims["jti"]


def test_a_token_verifies_with_nothing_but_the_published_key(alice, nobody):
    token = alice.token
    published = nobody.get("/.well-known/jwks.json").json()
    kid = jwt.get_unverified_header(token)["kid"]
    key = next(jwk for jwk in published["keys"] if jwk["kid"] == kid)
    assert "d" not in key
    assert jwt.decode(token, jwt.PyJWK(key).key, algorithms=["EdDSA"])["sub"].startswith("user:")


def test_revoking_a_token_ends_it_on_the_next_request_and_no_other(alice):
    token, other = alice.token, alice.token
    response = Api(token).delete("/v1/auth/token", content_type="application/json")
    assert (response.status_code, response.content) == (204, b"")
    assert not works(token)
    assert works(other)
    assert AuditEvent.objects.get(action="auth.revoke").actor_id == alice.principal.id


def test_a_revoked_token_cannot_revoke(alice):
    api = alice.api
    api.delete("/v1/auth/token")
    assert api.delete("/v1/auth/token").status_code == 401


def test_two_who_revoke_a_token_at_once_both_succeed(alice):
    """Both have passed the look at revocations, which refuses whoever comes later."""
    token = alice.token
    for _ in range(2):
        revoke_token(claims=read_token(token), actor=OPERATOR)
    assert not works(token)


def test_a_raw_key_is_not_a_token_to_revoke(alice):
    assert Api(alice.raw_key).delete("/v1/auth/token").status_code == 400
    assert works(alice.raw_key)


def test_a_token_ends_with_the_revocation_of_its_key(alice):
    token = alice.token
    alice.key.revoked_at = datetime.now(UTC)
    alice.key.save()
    assert not works(token)


def test_a_token_ends_with_its_key_even_when_the_expiry_is_set_later(alice):
    token = alice.token
    alice.key.expires_at = datetime.now(UTC)
    alice.key.save()
    assert not works(token)


@pytest.mark.parametrize(
    "change",
    [
        {"is_active": False},
        {"expires_at": datetime(2001, 1, 1, tzinfo=UTC)},
        {"token_generation": 1},
    ],
)
def test_deactivation_expiry_and_a_new_generation_hold_on_the_next_request(robot, change):
    token = robot.token
    assert works(token)
    Principal.objects.filter(pk=robot.principal.pk).update(**change)
    assert not works(token)


def test_deactivating_the_user_holds_on_the_next_request(alice):
    token = alice.token
    alice.user.is_active = False
    alice.user.save()
    assert not works(token)


def test_a_token_never_outlives_its_principal(alice, time_machine):
    start = datetime(2027, 1, 1, tzinfo=UTC)
    time_machine.move_to(start, tick=False)
    alice.principal.expires_at = start + timedelta(seconds=30)
    alice.principal.save()
    claims = claims_of(alice.token)
    assert claims["exp"] - claims["iat"] == 30


def test_a_new_signing_key_signs_nobody_out(alice, keys):
    old, new = generate_signing_key_pem(), generate_signing_key_pem()
    keys(old)
    before = alice.token
    keys(new, old)
    after = alice.token
    assert works(before)
    assert works(after)
    kids = [jwt.get_unverified_header(t)["kid"] for t in (before, after)]
    assert kids[0] != kids[1]
    assert [jwk["kid"] for jwk in key_set().jwks()["keys"]] == [kids[1], kids[0]]
    keys(new)
    assert not works(before)
    assert works(after)


def test_a_public_key_is_enough_to_verify_older_tokens(alice, keys):
    old, new = generate_signing_key_pem(), generate_signing_key_pem()
    keys(old)
    token = alice.token
    public = jwt.algorithms.OKPAlgorithm().prepare_key(old).public_key()
    keys(new, public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert works(token)


def test_a_key_is_named_by_its_thumbprint(keys, nobody):
    """The key of RFC 8037, A.1; its thumbprint is in A.3."""
    secret = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    private = Ed25519PrivateKey.from_private_bytes(secret)
    keys(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert nobody.get("/.well-known/jwks.json").json()["keys"] == [
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            "use": "sig",
            "alg": "EdDSA",
        }
    ]


def encode(part):
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_forged_tokens_are_refused(alice):
    token = alice.token
    header, payload, signature = token.split(".")
    claims, real = claims_of(token), jwt.get_unverified_header(token)
    stranger = Ed25519PrivateKey.generate()
    public_jwk = key_set().jwks()["keys"][0]
    forged = [
        f"{header}.{encode(claims | {'exp': claims['exp'] + 9999})}.{signature}",
        f"{encode({'alg': 'none', 'typ': 'JWT'})}.{payload}.",
        f"{encode({'alg': 'none', 'typ': 'JWT', 'kid': real['kid']})}.{payload}.",
        jwt.encode(claims, stranger, "EdDSA"),
        jwt.encode(claims, stranger, "EdDSA", headers={"kid": real["kid"]}),
        jwt.encode(claims, stranger, "EdDSA", headers={"kid": "../../etc/passwd"}),
        jwt.encode(claims, public_jwk["x"] * 2, "HS256", headers={"kid": real["kid"]}),
        f"{header}.{payload}",
        f"{header}.{payload}.{signature}x",
        f"{token}.{token}",
        "." * 10,
        "x" * 100_000,
    ]
    assert works(token)
    for bearer in forged:
        assert not works(bearer), bearer[:80]


def signed(claims):
    return key_set().encode(claims)


@pytest.mark.parametrize(
    "change",
    [
        {"sub": None},
        {"sub": "user:not-a-uuid"},
        {"sub": "admin:00000000-0000-0000-0000-000000000000"},
        {"sub": "user:00000000-0000-0000-0000-000000000000"},
        {"gen": None},
        {"gen": "x"},
        {"key": "not-a-uuid"},
        {"key": "00000000-0000-0000-0000-000000000000"},
        {"exp": None},
        {"exp": 10**30},
        {"jti": None},
        {"token_type": "refresh"},
    ],
)
def test_a_well_signed_token_with_odd_claims_is_401_and_never_500(alice, change):
    claims = claims_of(alice.token) | change
    odd = signed({name: value for name, value in claims.items() if value is not None})
    assert Api(odd).get("/v1/vaults").status_code == 401


def test_a_token_of_another_issuer_is_refused(alice, settings):
    token = alice.token
    settings.SECRETS_APP = settings.SECRETS_APP | {"JWT_ISSUER": "elsewhere"}
    assert not works(token)


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic YTpi", "Token x", "Bearer é", "Bearer \x00", "x" * 9000],
)
def test_a_malformed_header_is_401(nobody, header):
    response = nobody.get("/v1/vaults", headers={"Authorization": header})
    assert response.status_code == 401
    assert response["Content-Type"] == "application/problem+json"


def test_the_scheme_is_case_insensitive(alice, nobody):
    headers = {"Authorization": f"bearer {alice.token}"}
    assert nobody.get("/v1/vaults", headers=headers).status_code == 200

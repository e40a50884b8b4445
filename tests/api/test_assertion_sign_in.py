"""`POST /v1/auth/agent-token` with a token of another issuer."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from secrets_app.models import AgentIdentity, AuditEvent
from tests import issuers
from tests.cast import Api, body, secret_url
from tests.issuers import AUDIENCE, claims_of, sign
from tests.vault_api.conftest import Door


def identity(owner, agent_id, of, **fields):
    """Make an identity; by default for whatever has the subject `w`."""
    whole = {"name": "ci", "issuer": of.url, "audience": AUDIENCE, "claims": {"sub": "w"}}
    return owner.api.post(f"/v1/agents/{agent_id}/identities", whole | fields)


def sign_in(agent_id, assertion):
    content = {"agent_id": agent_id, "assertion": assertion}
    return Api().post("/v1/auth/agent-token", content)


def why(answer):
    """The reason that the log has for a refusal, which is the same for everybody else."""
    assert answer.status_code == 401
    event = AuditEvent.objects.filter(action="auth.failure").order_by("id").last()
    assert event.details["method"] == "assertion"
    return event.details["reason"]


@pytest.fixture
def agent_id(alice):
    return alice.api.post("/v1/agents", {"name": "ci"}).json()["agent"]["id"]


@pytest.fixture
def made(alice, agent_id, issuer):
    answer = identity(alice, agent_id, issuer)
    assert answer.status_code == 201, answer.json()
    return answer.json()


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [("rsa", "RS256"), ("rsa", "PS256"), ("ec", "ES256"), ("ed25519", "EdDSA")],
)
def test_a_token_of_an_issuer_is_exchanged_for_one_of_ours(
    alice, agent_id, issuer, made, kind, algorithm
):
    answer = sign_in(agent_id, sign(kind, claims_of(issuer.url), algorithm))
    assert answer.status_code == 200, answer.json()
    told = answer.json()
    assert set(told) == {"access_token", "token_type", "expires_in", "agent_id", "vault_ids"}
    assert (told["agent_id"], told["expires_in"]) == (agent_id, 3600)
    assert answer["Cache-Control"] == "no-store"
    assert Api(told["access_token"]).get("/v1/agents/me").json()["id"] == agent_id
    event = AuditEvent.objects.get(action="auth.success")
    assert event.details == {"method": "assertion", "identity_id": made["id"]}
    assert (str(event.actor_id), event.actor_type, str(event.resource_id)) == (
        agent_id,
        "agent",
        agent_id,
    )


SHAPES = {
    "github": ({"sub": "repo:acme/api:ref:refs/heads/main"}, issuers.github),
    "github-by-claims": ({"sub": "repo:acme/*:ref:refs/heads/main"}, issuers.github),
    "gitlab": ({"sub": "project_path:acme/api:ref_type:branch:ref:main"}, issuers.gitlab),
    "kubernetes": ({"sub": "system:serviceaccount:prod:*"}, issuers.kubernetes),
    "spiffe": ({"sub": "spiffe://example.org/ns/prod/sa/*"}, issuers.spiffe),
}
OTHERS = {
    "github": lambda url: issuers.github(url, "evil/api"),
    "github-by-claims": lambda url: issuers.github(url, "acme-evil/api"),
    "gitlab": lambda url: issuers.gitlab(url, "acme/api2"),
    "kubernetes": lambda url: issuers.kubernetes(url, "dev"),
    "spiffe": lambda url: issuers.spiffe(url, "/ns/prod/sa/api/x"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_workload_reads_exactly_what_its_agent_may_and_no_others_does(
    alice, vault, agent_id, issuer, shape
):
    patterns, claims = SHAPES[shape]
    assert identity(alice, agent_id, issuer, claims=patterns).status_code == 201
    alice.api.put(secret_url(vault, "deploy/key"), body("for the job"))
    alice.api.put(secret_url(vault, "other/key"), body("not for the job"))
    policy = {
        "secret_path_pattern": "deploy/**",
        "principal_type": "agent",
        "principal_id": agent_id,
        "permissions": ["read"],
    }
    assert alice.api.post(f"/v1/vaults/{vault.pk}/policies", policy).status_code == 201
    answer = sign_in(agent_id, sign("rsa", claims(issuer.url)))
    assert answer.status_code == 200, answer.json()
    job = Api(answer.json()["access_token"])
    assert job.get(secret_url(vault, "deploy/key")).json()["value"] == "for the job"
    assert job.get(secret_url(vault, "other/key")).status_code == 403
    assert job.put(secret_url(vault, "deploy/key"), body("x")).status_code == 403
    assert why(sign_in(agent_id, sign("rsa", OTHERS[shape](issuer.url)))) == "other_claims"


def test_every_refusal_is_the_same_401(alice, agent_id, issuer, made):
    from uuid import uuid4

    answers = [
        sign_in(str(uuid4()), sign("rsa", claims_of(issuer.url))),
        sign_in(agent_id, "x"),
        sign_in(agent_id, "x.y.z"),
        sign_in(agent_id, sign("rsa", claims_of(issuer.url + "/other"))),
        sign_in(agent_id, sign("rsa", claims_of(issuer.url, aud="other"))),
        sign_in(agent_id, sign("rsa", claims_of(issuer.url, sub="other"))),
        sign_in(agent_id, sign("rsa-2", claims_of(issuer.url), kid="rsa")),
        sign_in(agent_id, sign("rsa", claims_of(issuer.url, exp=1))),
    ]
    plain = {answer.content.replace(answer.json()["instance"].encode(), b"") for answer in answers}
    assert {answer.status_code for answer in answers} == {401}
    assert len(plain) == 1
    reasons = [
        event.details["reason"]
        for event in AuditEvent.objects.filter(action="auth.failure").order_by("id")
    ]
    assert reasons == [
        "unknown_agent",
        "malformed_assertion",
        "malformed_assertion",
        "unknown_issuer",
        "other_audience",
        "other_claims",
        "wrong_signature",
        "expired_assertion",
    ]


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": None}, "no_expiry"),
        ({"exp": 0}, "expired_assertion"),
        ({"iat": None}, "no_issue_time"),
        ({"iat": 61}, "not_yet_valid"),
        ({"nbf": 61}, "not_yet_valid"),
        ({"iat": 60, "nbf": 60}, None),
        ({"exp": 1}, None),
        ({"iat": -600}, None),
        ({"iat": -601}, "too_old"),
    ],
)
def test_times_are_honoured(alice, agent_id, issuer, made, time_machine, claims, reason):
    now = int(time.time())
    time_machine.move_to(now, tick=False)
    claims = {name: value if value is None else now + value for name, value in claims.items()}
    answer = sign_in(agent_id, sign("rsa", claims_of(issuer.url, **claims)))
    assert (answer.status_code == 200) if reason is None else (why(answer) == reason)


def test_an_identity_says_how_old_a_token_may_be(alice, agent_id, issuer):
    made = identity(alice, agent_id, issuer, max_age_seconds=3600).json()
    assert made["max_age_seconds"] == 3600
    old = claims_of(issuer.url, iat=int(time.time()) - 3000)
    assert sign_in(agent_id, sign("rsa", old)).status_code == 200


def test_a_token_is_narrowed_and_lasts_as_the_agent_says(alice, vault, issuer):
    agent = {"name": "ci", "token_ttl_seconds": 600, "vault_ids": [str(vault.pk)]}
    agent_id = alice.api.post("/v1/agents", agent).json()["agent"]["id"]
    identity(alice, agent_id, issuer)
    told = sign_in(agent_id, sign("ec", claims_of(issuer.url))).json()
    assert (told["expires_in"], told["vault_ids"]) == (600, [str(vault.pk)])


def test_the_identitys_end_ends_its_tokens_and_no_others(alice, agent_id, issuer, made):
    other = identity(alice, agent_id, issuer, claims={"sub": "other"}).json()
    tokens = [
        sign_in(agent_id, sign("rsa", claims_of(issuer.url, sub=sub))).json()["access_token"]
        for sub in ("w", "w", "other")
    ]
    child = Door(tokens[0])("PUT", "auth/token/create", {}).json()["auth"]["client_token"]
    assert Api(child).get("/v1/agents/me").status_code == 200
    url = f"/v1/agents/{agent_id}/identities"
    assert alice.api.delete(f"{url}/{made['id']}").status_code == 204
    statuses = [Api(each).get("/v1/agents/me").status_code for each in [*tokens, child]]
    assert statuses == [401, 401, 200, 401]
    assert why(sign_in(agent_id, sign("rsa", claims_of(issuer.url)))) == "other_claims"
    assert alice.api.get(url).json()["identities"] == [other]
    assert AuditEvent.objects.get(action="agent_identity.delete").details == {"agent_id": agent_id}


def test_a_deactivated_owner_or_agent_ends_it(alice, agent_id, issuer, made):
    token = sign_in(agent_id, sign("rsa", claims_of(issuer.url))).json()["access_token"]
    alice.user.is_active = False
    alice.user.save()
    assert Api(token).get("/v1/agents/me").status_code == 401
    assert why(sign_in(agent_id, sign("rsa", claims_of(issuer.url)))) == "inactive_owner"
    alice.user.is_active = True
    alice.user.save()
    alice.api.delete(f"/v1/agents/{agent_id}")
    assert Api(token).get("/v1/agents/me").status_code == 401
    assert why(sign_in(agent_id, sign("rsa", claims_of(issuer.url)))) == "inactive"


def test_a_single_use_token_signs_in_once(alice, agent_id, issuer):
    made = identity(alice, agent_id, issuer, single_use=True).json()
    assert made["single_use"] is True
    token = sign("rsa", claims_of(issuer.url, jti="1"))
    assert sign_in(agent_id, token).status_code == 200
    assert why(sign_in(agent_id, token)) == "used_assertion"
    # Signed anew it is the same; of another id it is not.
    assert why(sign_in(agent_id, sign("ec", claims_of(issuer.url, jti="1")))) == "used_assertion"
    assert sign_in(agent_id, sign("rsa", claims_of(issuer.url, jti="2"))).status_code == 200
    for jti in (None, 5, "", "x" * 513):
        answer = sign_in(agent_id, sign("rsa", claims_of(issuer.url, jti=jti)))
        assert why(answer) == "no_token_id"
    # Nor does another identity in its place let it in again.
    url = f"/v1/agents/{agent_id}/identities"
    alice.api.delete(f"{url}/{made['id']}")
    identity(alice, agent_id, issuer, single_use=True)
    assert why(sign_in(agent_id, token)) == "used_assertion"


def test_without_single_use_a_token_signs_in_again(alice, agent_id, issuer, made):
    token = sign("rsa", claims_of(issuer.url, jti="1"))
    assert [sign_in(agent_id, token).status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"agent_id": "00000000-0000-0000-0000-000000000001"}, "api_key"),
        ({"api_key": "ocv_x", "assertion": "x.y.z"}, "api_key"),
        ({"assertion": "x.y.z"}, "agent_id"),
        ({"assertion": 5}, "assertion"),
        ({"assertion": "x" * 16_385}, "assertion"),
        ({}, "api_key"),
    ],
)
def test_a_key_or_a_token_is_given_and_for_a_token_the_agent(nobody, content, field):
    answer = nobody.post("/v1/auth/agent-token", content)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_keys_can_come_along_or_from_a_url_and_then_nothing_is_discovered(
    alice, agent_id, issuer, settings
):
    keys = {"keys": [issuers.jwk("ed25519")]}
    settings.SECRETS_APP = settings.SECRETS_APP | {"FEDERATION_ISSUERS": []}
    name = "spiffe://example.org"
    fields = {"issuer": name, "claims": {"sub": "spiffe://example.org/api"}, "jwks": keys}
    made = identity(alice, agent_id, issuer, **fields)
    assert made.status_code == 201, made.json()
    claims = claims_of(name, sub="spiffe://example.org/api")
    assert sign_in(agent_id, sign("ed25519", claims)).status_code == 200
    assert issuer.server.asked.count(issuer.discovery) == 0
    assert why(sign_in(agent_id, sign("rsa", claims))) == "unknown_key"


def test_the_first_identity_that_fits_lets_in(alice, agent_id, issuer):
    wrong = {"jwks": {"keys": [issuers.jwk("rsa-2", kid="rsa")]}}
    identity(alice, agent_id, issuer, **wrong)
    right = identity(alice, agent_id, issuer).json()
    assert sign_in(agent_id, sign("rsa", claims_of(issuer.url))).status_code == 200
    event = AuditEvent.objects.get(action="auth.success")
    assert event.details["identity_id"] == right["id"]


def test_an_identity_ends_with_the_key_it_was_made_with(alice, agent_id, issuer):
    ends = (timezone.now() + timedelta(minutes=10)).isoformat()
    key = alice.api.post("/v1/auth/api-keys", {"name": "k", "expires_at": ends}).json()
    by_key = Api(key["api_key"])
    url = f"/v1/agents/{agent_id}/identities"
    fields = {"name": "ci", "issuer": issuer.url, "audience": AUDIENCE, "claims": {"sub": "w"}}
    made = by_key.post(url, fields).json()
    assert made["parent_id"] == key["key"]["id"]
    assert made["expires_at"] == key["key"]["expires_at"]
    answer = sign_in(agent_id, sign("rsa", claims_of(issuer.url))).json()
    assert 590 < answer["expires_in"] <= 600
    assert alice.api.delete(f"/v1/auth/api-keys/{key['key']['id']}").status_code == 204
    assert Api(answer["access_token"]).get("/v1/agents/me").status_code == 401
    assert why(sign_in(agent_id, sign("rsa", claims_of(issuer.url)))) == "unknown_issuer"
    event = AuditEvent.objects.get(action="agent_identity.delete")
    assert event.details == {"made_with": key["key"]["id"], "agent_id": agent_id}
    assert str(event.resource_id) == made["id"]


def test_it_stays_where_what_a_key_made_is_kept(alice, agent_id, issuer):
    key = alice.api.post("/v1/auth/api-keys", {"name": "k"}).json()
    url = f"/v1/agents/{agent_id}/identities"
    fields = {"name": "ci", "issuer": issuer.url, "audience": AUDIENCE, "claims": {"sub": "w"}}
    assert Api(key["api_key"]).post(url, fields).status_code == 201
    alice.api.delete(f"/v1/auth/api-keys/{key['key']['id']}?keep_children=true")
    assert sign_in(agent_id, sign("rsa", claims_of(issuer.url))).status_code == 200


def test_an_identity_that_expired_with_its_key_lets_nobody_in(alice, agent_id, issuer, made):
    AgentIdentity.objects.update(expires_at=timezone.now())
    assert why(sign_in(agent_id, sign("rsa", claims_of(issuer.url)))) == "expired_identity"


def test_no_claim_and_no_token_gets_into_an_event(alice, agent_id, issuer, made):
    canary = "canary-71c0ffee"
    for claims in ({"sub": canary}, {"aud": canary}, {"iss": canary}, {"x": canary}):
        sign_in(agent_id, sign("rsa", claims_of(issuer.url) | claims, kid="rsa"))
    token = sign("rsa", claims_of(issuer.url), kid=canary)
    sign_in(agent_id, token)
    assert AuditEvent.objects.filter(action__startswith="auth.").count() == 5
    for event in AuditEvent.objects.values():
        assert canary not in str(event)
        assert token[-40:] not in str(event)

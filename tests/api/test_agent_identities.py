import pytest

from secrets_app.models import AgentIdentity, AuditEvent
from secrets_app.services.identity.agent_identities import MOST_IDENTITIES
from tests.api.test_assertion_sign_in import agent_id  # noqa: F401
from tests.cast import Api
from tests.issuers import jwk

GITHUB = {
    "name": "deploy",
    "issuer": "https://token.actions.githubusercontent.com",
    "audience": "https://vault.example.com",
    "claims": {"sub": "repo:acme/api:ref:refs/heads/main"},
}


@pytest.fixture
def url(agent_id):  # noqa: F811
    return f"/v1/agents/{agent_id}/identities"


def refused(answer):
    assert answer.status_code == 400, answer.content
    return list(answer.json()["errors"])


def test_an_identity_is_made_looked_at_and_deleted(alice, url, agent_id):  # noqa: F811
    made = alice.api.post(url, GITHUB)
    assert made.status_code == 201
    identity = made.json()
    assert set(identity) == {
        "id",
        "name",
        "issuer",
        "audience",
        "claims",
        "max_age_seconds",
        "single_use",
        "created_at",
        "parent_id",
    }
    assert identity["parent_id"] == str(alice.key.pk)
    assert (identity["max_age_seconds"], identity["single_use"]) == (600, False)
    assert {name: identity[name] for name in GITHUB} == GITHUB
    assert alice.api.get(url).json() == {"identities": [identity]}
    assert alice.api.get(f"{url}/{identity['id']}").json() == identity
    assert alice.api.delete(f"{url}/{identity['id']}").status_code == 204
    for method in ("GET", "DELETE"):
        assert alice.api.request(method, f"{url}/{identity['id']}").status_code == 404
    assert alice.api.get(url).json() == {"identities": []}
    events = AuditEvent.objects.filter(action__startswith="agent_identity.").order_by("id")
    assert [(each.action, each.outcome, each.details) for each in events] == [
        ("agent_identity.create", "success", {"agent_id": agent_id}),
        ("agent_identity.delete", "success", {"agent_id": agent_id}),
    ]
    assert {str(each.resource_id) for each in events} == {identity["id"]}
    assert {each.actor_id for each in events} == {alice.principal.pk}
    assert not AgentIdentity.objects.exists()


def test_what_it_may_have_besides_comes_back(alice, url):
    more = {"jwks": {"keys": [jwk("ec")]}, "max_age_seconds": 3600, "single_use": True}
    made = alice.api.post(url, GITHUB | more).json()
    assert {name: made[name] for name in ("max_age_seconds", "single_use")} == {
        "max_age_seconds": 3600,
        "single_use": True,
    }
    assert {each["kid"] for each in made["jwks"]["keys"]} == {"ec"}
    made = alice.api.post(url, GITHUB | {"jwks_url": "https://example.com/keys"}).json()
    assert made["jwks_url"] == "https://example.com/keys"


def test_it_is_the_owners_alone(alice, bob, url, agent_id):  # noqa: F811
    identity = alice.api.post(url, GITHUB).json()
    for method, path in (
        ("GET", url),
        ("POST", url),
        ("GET", f"{url}/{identity['id']}"),
        ("DELETE", f"{url}/{identity['id']}"),
    ):
        content = GITHUB if method == "POST" else None
        assert bob.api.request(method, path, content).status_code == 404, path
    denied = AuditEvent.objects.filter(actor_id=bob.principal.pk, outcome="denied")
    assert {each.action for each in denied} >= {"agent_identity.create", "agent_identity.delete"}
    # By the name of an agent of one's own.
    own = bob.api.post("/v1/agents", {"name": "bobs"}).json()["agent"]["id"]
    stolen = f"/v1/agents/{own}/identities/{identity['id']}"
    assert bob.api.delete(stolen).status_code == 404
    assert bob.api.get(stolen).status_code == 404
    # An identity is deleted at its own agent alone.
    other = alice.api.post("/v1/agents", {"name": "other"}).json()["agent"]["id"]
    assert alice.api.delete(f"/v1/agents/{other}/identities/{identity['id']}").status_code == 404
    assert alice.api.get(url).json() == {"identities": [identity]}


def test_the_agent_itself_sees_them_and_changes_none(alice):
    made = alice.api.post("/v1/agents", {"name": "ci"}).json()
    url = f"/v1/agents/{made['agent']['id']}/identities"
    identity = alice.api.post(url, GITHUB).json()
    token = Api().post("/v1/auth/agent-token", {"api_key": made["api_key"]}).json()["access_token"]
    agent = Api(token)
    assert agent.get(url).json() == {"identities": [identity]}
    assert agent.post(url, GITHUB).status_code == 404
    assert agent.delete(f"{url}/{identity['id']}").status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "a\u202eb"),
        ("name", None),
        ("issuer", ""),
        ("issuer", "https://i.example.com/ x"),
        ("issuer", "not a url"),
        ("issuer", "https://i.example.com?x=1"),
        ("issuer", "x" * 513),
        ("issuer", 5),
        ("audience", ""),
        ("audience", "x" * 513),
        ("audience", ["x"]),
        ("audience", "a\0b"),
        ("claims", {}),
        ("claims", []),
        ("claims", "sub"),
        ("claims", {"sub": ["x"]}),
        ("claims", {"sub": "x" * 513}),
        ("claims", {"sub": "repo:a/b", "x" * 129: "y"}),
        ("claims", {"sub": "repo:a/b", "x": "a\u200bb"}),
        ("claims", {"": "x"}),
        ("claims", {f"c{n}": "x" for n in range(21)}),
        ("claims", {"environment": "prod"}),
        ("jwks_url", "http://example.com/keys"),
        ("jwks_url", ""),
        ("jwks", {}),
        ("jwks", {"keys": []}),
        ("jwks", {"keys": "x"}),
        ("jwks", {"keys": [5]}),
        ("jwks", {"keys": [{"kty": "RSA"}]}),
        ("jwks", {"keys": [{"kty": "RSA"}] * 51}),
        ("jwks", []),
        ("max_age_seconds", 9),
        ("max_age_seconds", 86_401),
        ("max_age_seconds", "600"),
        ("max_age_seconds", True),
        ("single_use", "yes"),
        ("single_use", 1),
        ("subject", "x"),
    ],
)
def test_a_bad_field_is_400_and_makes_nothing(alice, url, field, value):
    assert refused(alice.api.post(url, GITHUB | {field: value})) == [field]
    assert not AgentIdentity.objects.exists()


@pytest.mark.parametrize("field", ["name", "issuer", "audience", "claims"])
def test_what_is_needed_is_asked_for(alice, url, field):
    content = {name: value for name, value in GITHUB.items() if name != field}
    assert refused(alice.api.post(url, content)) == [field]


def test_keys_come_from_one_place(alice, url):
    both = {"jwks": {"keys": [jwk("ec")]}, "jwks_url": "https://example.com/keys"}
    assert refused(alice.api.post(url, GITHUB | both)) == ["jwks"]


def test_of_keys_that_come_along_only_what_verifies_is_kept(alice, url):
    keys = [
        jwk("ec", x5c=["MIIB"], x5u="https://example.com", use="jwt-svid"),
        jwk("rsa", use="enc"),
        jwk("ed25519", key_ops=["encrypt"]) | {"key_ops": ["encrypt"]},
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"},
        jwk("p384"),
        {"kty": "unheard-of"},
    ]
    made = alice.api.post(url, GITHUB | {"jwks": {"keys": keys}}).json()
    (kept,) = made["jwks"]["keys"]
    assert set(kept) == {"kty", "crv", "x", "y", "kid", "alg"}


def test_an_agent_has_a_bounded_number_of_them(alice, url):
    for _ in range(MOST_IDENTITIES):
        assert alice.api.post(url, GITHUB).status_code == 201
    assert alice.api.post(url, GITHUB).status_code == 409


def test_a_port_of_its_own_takes_an_operator(alice, url, settings):
    own = GITHUB | {"issuer": "https://k8s.internal:6443", "claims": {"sub": "w"}}
    answer = alice.api.post(url, own)
    assert refused(answer) == ["issuer"]
    assert "FEDERATION_ISSUERS" in answer.json()["errors"]["issuer"][0]
    settings.SECRETS_APP = settings.SECRETS_APP | {
        "FEDERATION_ISSUERS": ["https://k8s.internal:6443|/etc/ca.pem"]
    }
    assert alice.api.post(url, own).status_code == 201


@pytest.mark.parametrize("wrong", ["http://k8s.internal", "k8s", ["x"], "https://a b", 5])
def test_a_setting_that_names_no_issuer_is_an_error(settings, wrong):
    from secrets_app.checks import check_settings

    settings.SECRETS_APP = settings.SECRETS_APP | {"FEDERATION_ISSUERS": [wrong]}
    assert "FEDERATION_ISSUERS" in [each.msg.split()[0] for each in check_settings()]


def test_an_agent_can_be_one_whose_own_key_never_works(alice):
    past = {"name": "ci", "api_key_expires_at": "2000-01-01T00:00:00Z"}
    made = alice.api.post("/v1/agents", past)
    assert made.status_code == 201
    content = {"api_key": made.json()["api_key"]}
    assert Api().post("/v1/auth/agent-token", content).status_code == 401

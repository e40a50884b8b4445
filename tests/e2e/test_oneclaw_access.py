"""The published client's sign-in, keys, agents and policies, unchanged, against a live server."""

import pytest
from oneclaw import create_client

from tests.e2e.server import manage
from tests.factors import code_of

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def demo(server):
    return server.quickstart()


@pytest.fixture
def person(server):
    """Somebody new, since a second factor is asked for wherever one signs in."""
    environment = server.environment | {"VAULTSITE_PASSWORD": PASSWORD}
    manage("create_user", "second@example.com", environment=environment)
    return "second@example.com", PASSWORD


@pytest.fixture
def owner(server, demo):
    with create_client(base_url=server.base_url, api_key=demo["api_key"]) as client:
        yield client


def test_an_agent_reads_exactly_what_its_policy_allows_and_loses_it_with_the_policy(
    server, demo, owner
):
    vault = demo["vault_id"]
    owner.secrets.set(vault, "ci/token", "for ci", type="api_key")
    owner.secrets.set(vault, "prod/token", "not for ci", type="api_key")
    registered = owner.agents.create("ci", description="builds", token_ttl_seconds=600)
    assert registered.meta.status == 201
    agent_id = registered.data["agent"]["id"]
    with create_client(base_url=server.base_url, api_key=registered.data["api_key"]) as agent:
        assert agent.secrets.get(vault, "ci/token").error.type == "auth_error"
        assert agent.resolved_agent_id == agent_id
        policy = owner.policies.create(
            vault,
            principal_type="agent",
            principal_id=agent_id,
            secret_path_pattern="ci/*",
            permissions=["read"],
        )
        assert policy.meta.status == 201
        assert agent.secrets.get(vault, "ci/token").data["value"] == "for ci"
        assert agent.secrets.get(vault, "prod/token").meta.status == 403
        assert agent.secrets.set(vault, "ci/token", "x", type="note").meta.status == 403
        assert [s["path"] for s in agent.secrets.list(vault).data["secrets"]] == ["ci/token"]
        assert agent.agents.me().data["id"] == agent_id

        changed = owner.policies.update(vault, policy.data["id"], permissions=["read", "write"])
        assert changed.data["permissions"] == ["read", "write"]
        assert agent.secrets.set(vault, "ci/token", "new", type="api_key").meta.status == 201
        listed = owner.policies.list(vault).data["policies"]
        assert policy.data["id"] in [p["id"] for p in listed]
        assert owner.policies.delete(vault, policy.data["id"]).meta.status == 204
        assert agent.secrets.get(vault, "ci/token").meta.status == 403

        assert owner.agents.update(agent_id, description="changed").data["description"] == "changed"
        assert agent_id in [a["id"] for a in owner.agents.list().data["agents"]]
        rotated = owner.agents.rotate_key(agent_id)
        assert agent.agents.me().meta.status == 401
        assert agent.auth.agent_token(rotated.data["api_key"], agent_id).meta.status == 200
        assert agent.agents.me().data["name"] == "ci"
        assert owner.agents.delete(agent_id).meta.status == 204
        assert agent.agents.me().meta.status == 401
        assert owner.agents.get(agent_id).data["is_active"] is False


def test_sign_in_keys_and_the_account(server, demo, owner):
    assert owner.auth.me().data["email"] == demo["email"]
    made = owner.api_keys.create("from oneclaw", expires_at="2099-01-01T00:00:00Z")
    assert made.meta.status == 201
    key_id = made.data["key"]["id"]
    assert key_id in [key["id"] for key in owner.api_keys.list().data["keys"]]
    with create_client(base_url=server.base_url, api_key=made.data["api_key"]) as other:
        assert other.auth.me().error is None
        assert owner.api_keys.delete(key_id).meta.status == 204
        assert other.auth.me().meta.status == 401
    with create_client(base_url=server.base_url) as stranger:
        assert stranger.auth.login(demo["email"], "wrong").error.type == "auth_error"
        assert stranger.auth.login(demo["email"], demo["password"]).error is None
        wrong = stranger.auth.change_password("wrong", "a long enough passphrase")
        assert wrong.error.type == "validation_error"
        assert stranger.auth.revoke_token().meta.status == 204
        assert stranger.auth.me().meta.status == 401


def test_the_audit_log(demo, owner):
    vault = demo["vault_id"]
    owner.secrets.set(vault, "audited/one", "value", type="note")
    listed = owner.audit.list(action="secret.write", limit=5, offset=0)
    assert listed.meta.status == 200
    event = listed.data["events"][0]
    assert (event["details"]["path"], listed.data["count"] <= 5) == ("audited/one", True)
    same = owner.audit.list(
        resource_id=event["resource_id"],
        actor_id=event["actor_id"],
        from_time=event["created_at"],
        to_time="2999-01-01T00:00:00Z",
    )
    assert [each["id"] for each in same.data["events"]] == [event["id"]]
    found = owner.audit.verify(from_time="2020-01-01T00:00:00Z", limit=100)
    assert found.data["chain_valid"] is True
    assert found.data["events_verified"] == found.data["events_checked"] > 0


def test_a_second_factor_from_set_up_to_removal(server, person):
    """Recovery codes stand in for codes of the app, whose next one would take half a minute."""
    email, password = person
    with create_client(base_url=server.base_url) as client:
        assert client.auth.login(email, password).error is None
        assert client.auth.mfa_status().data == {"enabled": False}
        began = client.auth.mfa_setup()
        assert began.meta.status == 200
        assert began.data["secret"] in began.data["otpauth_uri"]
        assert client.auth.mfa_verify_setup("12345").error.type == "validation_error"
        confirmed = client.auth.mfa_verify_setup(code_of(began.data["secret"]))
        codes = confirmed.data["recovery_codes"]
        assert len(codes) == 10
        assert client.auth.mfa_status().data == {"enabled": True}
        assert client.auth.refresh().meta.status == 200
    with create_client(base_url=server.base_url) as other:
        asked = other.auth.login(email, password)
        assert asked.data["mfa_required"] is True
        assert other.auth.me().meta.status == 401
        token = asked.data["mfa_token"]
        assert other.auth.mfa_verify("1mf_no", codes[0]).error.type == "auth_error"
        assert other.auth.mfa_verify(token, codes[0]).error is None
        assert other.auth.mfa_verify(token, codes[1]).meta.status == 401
        assert other.auth.me().data["email"] == email
        made = other.api_keys.create("made with a second factor")
        with create_client(base_url=server.base_url, api_key=made.data["api_key"]) as keyed:
            assert keyed.auth.me().error is None
            assert keyed.auth.mfa_setup().meta.status == 403
        assert other.auth.mfa_disable(code="12345").error.type == "validation_error"
        assert other.auth.mfa_disable(password=password).meta.status == 204
        assert other.auth.mfa_status().data == {"enabled": False}
    with create_client(base_url=server.base_url) as after:
        assert after.auth.login(email, password).error is None
        assert after.auth.me().error is None

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt
import pytest

from secrets_app.models import AuditEvent, Principal
from tests.cast import Api, body, person, secret_url, vault_of


def register(owner, name="deploy", **fields):
    return owner.api.post("/v1/agents", {"name": name} | fields)


def exchange(api_key, agent_id=None):
    content = {"api_key": api_key} | ({"agent_id": agent_id} if agent_id else {})
    return Api().post("/v1/auth/agent-token", content)


def grant(owner, vault, agent_id, pattern="**", *permissions):
    fields = {
        "secret_path_pattern": pattern,
        "principal_type": "agent",
        "principal_id": agent_id,
        "permissions": list(permissions) or ["read"],
    }
    return owner.api.post(f"/v1/vaults/{vault.id}/policies", fields).json()


@pytest.fixture
def agent(alice):
    return register(alice).json()


@pytest.fixture
def token(agent):
    return exchange(agent["api_key"]).json()["access_token"]


def me(token):
    return Api(token).get("/v1/agents/me").status_code


def test_an_agent_is_registered_with_a_key_that_is_shown_once(alice):
    response = register(alice, description="deploys", vault_ids=[], token_ttl_seconds=600)
    assert response.status_code == 201
    assert response["Cache-Control"] == "no-store"
    answer = response.json()
    assert set(answer) == {"agent", "api_key"}
    assert answer["api_key"].startswith("ocv_")
    agent = answer["agent"]
    assert set(agent) == {
        "id",
        "name",
        "description",
        "is_active",
        "auth_method",
        "token_ttl_seconds",
        "vault_ids",
        "created_at",
        "created_by",
    }
    assert agent["created_by"] == f"user:{alice.principal.id}"
    assert alice.api.get(f"/v1/agents/{agent['id']}").json() == agent
    assert alice.api.get("/v1/agents").json() == {"agents": [agent]}
    assert str(AuditEvent.objects.get(action="agent.register").resource_id) == agent["id"]


def test_flags_of_the_family_are_taken_while_they_are_false(alice):
    flags = {"auth_method": "api_key", "intents_api_enabled": False, "shroud_enabled": False}
    assert register(alice, **flags).status_code == 201
    for field, value in [("shroud_enabled", True), ("auth_method", "mtls"), ("scopes", ["x"])]:
        response = register(alice, **{field: value})
        assert (response.status_code, list(response.json()["errors"])) == (400, [field])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "a\0b"),
        ("name", None),
        ("token_ttl_seconds", 0),
        ("token_ttl_seconds", 86_401),
        ("token_ttl_seconds", "600"),
        ("vault_ids", ["x"]),
        ("vault_ids", "x"),
        ("vault_ids", [5]),
        ("expires_at", "soon"),
        ("api_key_expires_at", "soon"),
        ("description", "a\u202eb"),
    ],
)
def test_a_bad_field_is_400_and_makes_nothing(alice, field, value):
    response = register(alice, **{field: value})
    assert response.status_code == 400
    assert next(iter(response.json()["errors"])).split(".")[0] == field
    assert not Principal.objects.filter(kind="agent").exists()


def test_a_key_is_exchanged_with_or_without_the_agents_id(agent):
    agent_id = agent["agent"]["id"]
    for answer in (exchange(agent["api_key"]), exchange(agent["api_key"], agent_id)):
        assert answer.status_code == 200
        assert set(answer.json()) == {
            "access_token",
            "token_type",
            "expires_in",
            "agent_id",
            "vault_ids",
        }
        assert (answer.json()["agent_id"], answer.json()["expires_in"]) == (agent_id, 3600)
        claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
        assert claims["sub"] == f"agent:{agent_id}"


def test_every_wrong_exchange_is_the_same_401(alice, agent):
    other = register(alice, "other").json()
    answers = [
        exchange("ocv_wrong"),
        exchange(alice.raw_key),
        exchange(agent["api_key"], other["agent"]["id"]),
        exchange(agent["api_key"], str(uuid4())),
        Api().post("/v1/auth/api-key-token", {"api_key": agent["api_key"]}),
        Api(agent["api_key"]).get("/v1/agents/me"),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({str(answer.json() | {"instance": ""}) for answer in answers}) == 1


def test_an_agent_reads_exactly_what_its_policy_allows(alice, vault, agent, token):
    alice.api.put(secret_url(vault, "ci/key"), body("for ci"))
    alice.api.put(secret_url(vault, "prod/key"), body("not for ci"))
    assert Api(token).get(secret_url(vault, "ci/key")).status_code == 403
    policy = grant(alice, vault, agent["agent"]["id"], "ci/*")
    assert Api(token).get(secret_url(vault, "ci/key")).json()["value"] == "for ci"
    assert Api(token).get(secret_url(vault, "prod/key")).status_code == 403
    alice.api.delete(f"/v1/vaults/{vault.id}/policies/{policy['id']}")
    assert Api(token).get(secret_url(vault, "ci/key")).status_code == 403


def test_an_agent_restricted_to_vaults_gets_into_no_other_whatever_policies_say(alice):
    first, second = vault_of(alice, "first"), vault_of(alice, "second")
    agent = register(alice, vault_ids=[str(first.id)]).json()
    agent_id = agent["agent"]["id"]
    for vault in (first, second):
        alice.api.put(secret_url(vault), body())
        grant(alice, vault, agent_id)
    answer = exchange(agent["api_key"]).json()
    assert answer["vault_ids"] == [str(first.id)]
    api = Api(answer["access_token"])
    assert api.get(secret_url(first)).status_code == 200
    assert api.get(secret_url(second)).status_code == 403
    why = alice.api.get(
        f"/v1/vaults/{second.id}/access?principal_id={agent_id}&path=a&permission=read"
    ).json()
    assert (why["allowed"], why["reason"]) == (False, "vault_not_in_scope")
    # Widening the agent does not widen a token that was made before; narrowing narrows it at once.
    owner = alice.api
    owner.request("PATCH", f"/v1/agents/{agent_id}", {"vault_ids": []})
    assert api.get(secret_url(second)).status_code == 403
    fresh = Api(exchange(agent["api_key"]).json()["access_token"])
    assert fresh.get(secret_url(second)).status_code == 200
    owner.request("PATCH", f"/v1/agents/{agent_id}", {"vault_ids": [str(first.id)]})
    assert fresh.get(secret_url(second)).status_code == 403
    assert fresh.get(secret_url(first)).status_code == 200


def test_a_token_lasts_as_long_as_the_agent_says(alice, time_machine):
    start = datetime(2027, 1, 1, tzinfo=UTC)
    time_machine.move_to(start, tick=False)
    agent = register(alice, token_ttl_seconds=60).json()
    token = exchange(agent["api_key"]).json()["access_token"]
    time_machine.move_to(start + timedelta(seconds=59), tick=False)
    assert me(token) == 200
    time_machine.move_to(start + timedelta(seconds=60), tick=False)
    assert me(token) == 401


@pytest.mark.parametrize("field", ["expires_at", "api_key_expires_at"])
def test_a_token_ends_with_its_agent_or_key(alice, time_machine, field):
    start = datetime(2027, 1, 1, tzinfo=UTC)
    time_machine.move_to(start, tick=False)
    agent = register(alice, **{field: "2027-01-01T00:00:30Z"}).json()
    answer = exchange(agent["api_key"]).json()
    assert answer["expires_in"] == 30
    time_machine.move_to(start + timedelta(seconds=30), tick=False)
    assert me(answer["access_token"]) == 401
    assert exchange(agent["api_key"]).status_code == 401


def test_deactivation_holds_on_the_next_request(alice, agent, token):
    assert me(token) == 200
    url = f"/v1/agents/{agent['agent']['id']}"
    assert alice.api.delete(url).status_code == 204
    assert me(token) == 401
    assert exchange(agent["api_key"]).status_code == 401
    assert alice.api.get(url).json()["is_active"] is False


def test_a_rotated_key_dies_at_once_with_its_tokens(alice, agent, token):
    response = alice.api.post(f"/v1/agents/{agent['agent']['id']}/rotate-key")
    assert response.status_code == 200
    assert me(token) == 401
    assert exchange(agent["api_key"]).status_code == 401
    fresh = exchange(response.json()["api_key"]).json()["access_token"]
    assert me(fresh) == 200
    assert response.json()["agent"] == agent["agent"]


def test_an_agent_can_be_changed(alice, agent, token):
    url = f"/v1/agents/{agent['agent']['id']}"
    changes = {"name": "new name", "description": "d", "token_ttl_seconds": 120}
    answer = alice.api.request("PATCH", url, changes)
    assert answer.status_code == 200
    assert answer.json() == agent["agent"] | changes
    alice.api.request("PATCH", url, {"expires_at": "2001-01-01T00:00:00Z"})
    assert me(token) == 401
    alice.api.request("PATCH", url, {"expires_at": None})
    assert me(token) == 200
    for bad in ({"name": ""}, {"is_active": False}, {"token_ttl_seconds": None}):
        assert alice.api.request("PATCH", url, bad).status_code == 400


def test_an_agent_is_there_for_its_owner_and_itself_alone(alice, agent, token):
    stranger = person("stranger")
    url = f"/v1/agents/{agent['agent']['id']}"
    assert Api(token).get(url).json() == agent["agent"]
    assert Api(token).get("/v1/agents/me").json() == agent["agent"]
    assert alice.api.get("/v1/agents/me").status_code == 403
    for method, path in [
        ("GET", url),
        ("PATCH", url),
        ("DELETE", url),
        ("POST", f"{url}/rotate-key"),
    ]:
        content = {"name": "mine"} if method == "PATCH" else None
        assert stranger.api.request(method, path, content).status_code == 404
        if method != "GET":
            assert Api(token).request(method, path, content).status_code == 404
    assert stranger.api.get("/v1/agents").json() == {"agents": []}
    assert me(token) == 200


def test_an_agent_cannot_become_more_than_it_is(vault, token):
    api = Api(token)
    policy = {
        "secret_path_pattern": "**",
        "principal_type": "agent",
        "principal_id": jwt.decode(token, options={"verify_signature": False})["sub"][6:],
        "permissions": ["read"],
    }
    for method, path, content in [
        ("POST", "/v1/agents", {"name": "child"}),
        ("POST", "/v1/auth/api-keys", {"name": "mine"}),
        ("POST", "/v1/vaults", {"name": "mine"}),
        ("POST", f"/v1/vaults/{vault.id}/policies", policy),
        ("PATCH", "/v1/auth/me", {"display_name": "root"}),
        ("POST", "/v1/auth/change-password", {"current_password": "x", "new_password": "y"}),
    ]:
        response = api.request(method, path, content)
        assert response.status_code == 403, path
    denied = set(AuditEvent.objects.filter(outcome="denied").values_list("action", flat=True))
    assert {"agent.register", "key.create", "vault.create", "auth.password_change"} <= denied

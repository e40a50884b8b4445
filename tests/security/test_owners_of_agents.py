"""What an attacker found, issue 14, point 6: an agent that outlives its owner."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models import ProtectedError

from secrets_app.models import Agent, AuditEvent, Principal
from secrets_app.services.identity.agents import count_stopped
from tests.cast import Api, allow, body, secret_url
from tests.every_action import run


@pytest.fixture
def agent(alice, bob, vault):
    """Bob's, and allowed to read in Alice's vault."""
    alice.api.put(secret_url(vault), body("of alice"))
    made = bob.api.post("/v1/agents", {"name": "ci"}).json()
    policy = {
        "secret_path_pattern": "**",
        "principal_type": "agent",
        "principal_id": made["agent"]["id"],
        "permissions": ["read"],
    }
    assert alice.api.post(f"/v1/vaults/{vault.id}/policies", policy).status_code == 201
    return made


def sign_in(agent, **fields):
    return Api().post("/v1/auth/agent-token", {"api_key": agent["api_key"]} | fields)


def leave(bob, how):
    """Each way in which a person cannot sign in any more."""
    if how == "user":
        bob.user.is_active = False
        bob.user.save()
    elif how == "principal":
        Principal.objects.filter(pk=bob.principal.pk).update(is_active=False)
    else:
        Principal.objects.filter(pk=bob.principal.pk).update(expires_at=datetime.now(UTC))


def come_back(bob):
    bob.user.is_active = True
    bob.user.save()
    Principal.objects.filter(pk=bob.principal.pk).update(is_active=True, expires_at=None)


@pytest.mark.parametrize("how", ["user", "principal", "expiry"])
def test_an_agent_stops_with_its_owner_and_goes_on_with_it(bob, vault, agent, how):
    token = Api(sign_in(agent).json()["access_token"])
    assert token.get(secret_url(vault)).json()["value"] == "of alice"
    leave(bob, how)
    for method, path in [
        ("GET", secret_url(vault)),
        ("HEAD", secret_url(vault)),
        ("GET", "/v1/agents/me"),
        ("GET", "/v1/vaults"),
        ("DELETE", "/v1/auth/token"),
    ]:
        assert token.request(method, path).status_code == 401, path
    assert sign_in(agent).status_code == 401
    assert sign_in(agent, agent_id=agent["agent"]["id"]).status_code == 401
    events = AuditEvent.objects.filter(action="auth.failure", resource_id=agent["agent"]["id"])
    assert {each.details["reason"] for each in events} == {"inactive_owner"}
    assert {each.details["method"] for each in events} == {"bearer", "agent_key"}
    come_back(bob)
    assert token.get(secret_url(vault)).status_code == 200
    assert sign_in(agent).status_code == 200


def test_every_refusal_of_a_sign_in_is_alike(bob, agent):
    leave(bob, "user")
    unknown = sign_in({"api_key": "ocv_" + "x" * 43}).json()
    assert sign_in(agent).json() | {"instance": ""} == unknown | {"instance": ""}


def test_what_explains_says_so_too(alice, bob, vault, agent):
    query = f"principal_id={agent['agent']['id']}&path=a&permission=read"
    url = f"/v1/vaults/{vault.id}/access?{query}"
    assert alice.api.get(url).json()["allowed"] is True
    assert "ci" in run("whocan", vault.pk, "a", "read")
    leave(bob, "user")
    answer = alice.api.get(url).json()
    assert (answer["allowed"], answer["reason"]) == (False, "inactive_principal")
    assert "ci" not in run("whocan", vault.pk, "a", "read")


def test_an_agent_that_belongs_to_nobody_does_not_work(alice, robot, vault):
    token = robot.api
    assert token.get("/v1/auth/me").status_code == 200
    Agent.objects.filter(pk=robot.principal.pk).delete()
    assert token.get("/v1/auth/me").status_code == 401
    assert sign_in({"api_key": robot.raw_key}).status_code == 401
    event = AuditEvent.objects.filter(resource_id=robot.principal.pk).latest("id")
    assert event.details == {"method": "agent_key", "reason": "inactive_owner"}
    query = f"principal_id={robot.principal.pk}&path=a&permission=read"
    answer = alice.api.get(f"/v1/vaults/{vault.id}/access?{query}").json()
    assert (answer["allowed"], answer["reason"]) == (False, "inactive_principal")


def test_whoever_has_agents_cannot_be_deleted_but_only_deactivated(bob, agent):
    for row in (bob.user, bob.principal):
        with pytest.raises(ProtectedError):
            row.delete()


def test_an_operator_hands_over_the_agents_of_who_left(alice, bob, charlie, vault, agent):
    token = Api(sign_in(agent).json()["access_token"])
    other = bob.api.post("/v1/agents", {"name": "other"}).json()["agent"]["id"]
    gone = bob.api.post("/v1/agents", {"name": "gone"}).json()["agent"]["id"]
    bob.api.delete(f"/v1/agents/{gone}")
    leave(bob, "user")
    assert count_stopped(now=datetime.now(UTC)) == 2
    chosen = agent["agent"]["id"]
    told = run(
        "hand_over_agents", "bob@example.com", "charlie@example.com", "--json", "--agent", chosen
    )
    assert json.loads(told) == {"agents": [chosen], "to": str(charlie.principal.pk)}
    # Key, token and policies are what they were.
    assert token.get(secret_url(vault)).status_code == 200
    assert sign_in(agent).status_code == 200
    assert charlie.api.get(f"/v1/agents/{chosen}").json()["created_by"] == str(charlie.principal)
    assert "1 agents" in run("hand_over_agents", "bob@example.com", "charlie@example.com")
    assert {each["id"] for each in charlie.api.get("/v1/agents").json()["agents"]} == {
        chosen,
        other,
    }
    come_back(bob)
    assert bob.api.get(f"/v1/agents/{chosen}").status_code == 404
    assert bob.api.post(f"/v1/agents/{chosen}/rotate-key").status_code == 404
    events = AuditEvent.objects.filter(action="agent.hand_over", actor_type="operator")
    assert {str(each.resource_id) for each in events} == {chosen, other}
    assert events[0].details == {"from": str(bob.principal.pk), "to": str(charlie.principal.pk)}
    # The new owner ends what the old one may still know.
    assert charlie.api.post(f"/v1/agents/{chosen}/rotate-key").status_code == 200
    assert token.get(secret_url(vault)).status_code == 401


def test_agents_go_to_people_who_may_sign_in_and_by_their_owner_only(bob, charlie, alice, agent):
    def refused(*arguments):
        with pytest.raises(CommandError) as error:
            call_command("hand_over_agents", *arguments, stdout=StringIO())
        return str(error.value)

    agent_id = agent["agent"]["id"]
    wrong = ("alice@example.com", "charlie@example.com", "--agent", agent_id)
    assert "no such agent" in refused(*wrong)
    assert "no such person" in refused("bob@example.com", "nobody@example.com")
    leave(charlie, "user")
    assert "may sign in" in refused("bob@example.com", "charlie@example.com")
    assert Agent.objects.get(pk=agent_id).owner == bob.principal


def test_an_agent_cannot_make_or_get_an_agent(vault, agent):
    from secrets_app.errors import Conflict
    from secrets_app.services.audit import OPERATOR
    from secrets_app.services.identity.agents import hand_over_agent

    token = Api(sign_in(agent).json()["access_token"])
    assert token.post("/v1/agents", {"name": "child"}).status_code == 403
    row = Agent.objects.get()
    with pytest.raises(Conflict):
        hand_over_agent(agent_id=row.pk, to=row.principal, actor=OPERATOR)


def test_the_doctor_tells_of_agents_that_stopped(bob, agent):
    def about_agents():
        out = StringIO()
        with suppress(CommandError):  # what it says of other things is of no matter here
            call_command("doctor", "--json", stdout=out)
        (found,) = [f for f in json.loads(out.getvalue())["findings"] if f["about"] == "agents"]
        return found

    assert about_agents()["status"] == "ok"
    leave(bob, "user")
    found = about_agents()
    assert (found["status"], found["said"][:8]) == ("warning", "1 active")
    assert "hand_over_agents" in found["advice"]


def test_a_key_that_expires_tomorrow_is_not_yet_gone(bob, agent):
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    Principal.objects.filter(pk=bob.principal.pk).update(expires_at=tomorrow)
    assert sign_in(agent).status_code == 200


def test_others_agents_go_on(alice, bob, vault, agent):
    mine = alice.api.post("/v1/agents", {"name": "mine"}).json()
    leave(bob, "user")
    assert sign_in(mine).status_code == 200
    assert alice.api.get(secret_url(vault)).status_code == 200
    assert allow(bob, vault, "**", "read").pk

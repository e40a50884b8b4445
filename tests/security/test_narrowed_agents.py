"""What an attacker found, issue 14, point 11: what an agent restricted to some vaults sees of others."""

import pytest

from secrets_app.services.identity.tokens import issue_token
from tests.cast import Api, allow, body, secret_url, vault_of


@pytest.fixture
def vaults(alice, robot):
    """Two vaults of Alice's, both with a secret and both open to the robot."""
    made = {name: vault_of(alice, name) for name in ("inside", "outside")}
    for vault in made.values():
        alice.api.put(secret_url(vault), body())
        allow(robot, vault, "**", "read")
    return made


@pytest.fixture(params=["the agent", "the token", "both"])
def narrowed(request, robot, vaults):
    """The robot, restricted to `inside` by what the parameter says."""
    inside = [str(vaults["inside"].pk)]
    if request.param != "the token":
        robot.principal.agent.vault_ids = inside
        robot.principal.agent.save()
    token = issue_token(
        principal=robot.principal,
        api_key=robot.key,
        lifetime_s=900,
        vault_ids=[] if request.param == "the agent" else inside,
    )
    return Api(token.access_token)


def explain(api, vault, **query):
    query = {"path": "api-keys/openai", "permission": "read"} | query
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return api.get(f"/v1/vaults/{vault.pk}/access?{text}").json()


def names(api):
    return [each["name"] for each in api.get("/v1/vaults").json()["vaults"]]


def test_without_a_restriction_it_sees_both(robot, vaults):
    assert names(robot.api) == ["inside", "outside"]


def test_the_list_holds_what_it_may_enter(narrowed):
    assert names(narrowed) == ["inside"]
    assert names(Api(narrowed.bearer)) == ["inside"]


def test_two_restrictions_leave_what_is_in_both(robot, vaults):
    robot.principal.agent.vault_ids = [str(vaults["inside"].pk)]
    robot.principal.agent.save()
    token = issue_token(
        principal=robot.principal,
        api_key=robot.key,
        lifetime_s=900,
        vault_ids=[str(vaults["outside"].pk)],
    )
    assert names(Api(token.access_token)) == []


def test_no_route_names_another_vault(narrowed, vaults):
    outside = vaults["outside"]
    for path in ("", "/secrets", "/policies", "/secrets/api-keys/openai"):
        answer = narrowed.get(f"/v1/vaults/{outside.pk}{path}")
        assert answer.status_code == 403, path
        assert "outside" not in answer.content.decode()
    assert narrowed.get(secret_url(vaults["inside"])).status_code == 200


def test_the_explanation_is_what_a_request_gets(narrowed, vaults):
    assert explain(narrowed, vaults["inside"])["allowed"] is True
    answer = explain(narrowed, vaults["outside"])
    assert (answer["allowed"], answer["reason"]) == (False, "vault_not_in_scope")
    assert answer["policies"] == []


def test_about_others_the_owner_hears_of_the_agents_own_restriction(alice, robot, vaults):
    about = {"principal_id": robot.principal.pk}
    assert explain(alice.api, vaults["outside"], **about)["allowed"] is True
    robot.principal.agent.vault_ids = [str(vaults["inside"].pk)]
    robot.principal.agent.save()
    answer = explain(alice.api, vaults["outside"], **about)
    assert answer["reason"] == "vault_not_in_scope"
    assert explain(alice.api, vaults["inside"], **about)["allowed"] is True


def test_a_narrowed_token_narrows_an_owner_too(alice, vaults):
    """None is issued today. Whoever comes to issue one relies on it."""
    inside, outside = vaults["inside"], vaults["outside"]
    token = issue_token(
        principal=alice.principal, api_key=alice.key, lifetime_s=900, vault_ids=[str(inside.pk)]
    )
    api = Api(token.access_token)
    assert names(api) == ["inside"]
    assert api.get(secret_url(inside)).status_code == 200
    assert api.get(secret_url(outside)).status_code == 403
    assert api.delete(f"/v1/vaults/{outside.pk}").status_code == 403
    assert explain(api, outside)["reason"] == "vault_not_in_scope"


def test_its_own_events_elsewhere_are_out_of_sight(robot, vaults, narrowed):
    """Their paths are those of another vault."""
    wide = issue_token(principal=robot.principal, api_key=robot.key, lifetime_s=900).access_token
    agent = robot.principal.agent
    kept, agent.vault_ids = agent.vault_ids, []
    agent.save()
    for vault in vaults.values():
        assert Api(wide).get(secret_url(vault)).status_code == 200
    everything = Api(wide).get("/v1/audit/events").json()["events"]
    agent.vault_ids = kept
    agent.save()
    seen = narrowed.get("/v1/audit/events").json()["events"]
    assert {each.get("vault_id") for each in seen} == {str(vaults["inside"].pk)}
    hidden = [e["id"] for e in everything if e.get("vault_id") == str(vaults["outside"].pk)]
    assert hidden
    for event_id in hidden:
        assert narrowed.get(f"/v1/audit/events/{event_id}/proof").status_code == 404

"""What an attacker found, issue 14, point 12: keys that outlive the one they were made with."""

from datetime import UTC, datetime, timedelta

import pytest

from secrets_app.models import ApiKey, AuditEvent
from tests.api.test_concurrency import all_at_once
from tests.cast import PASSWORD, Api
from tests.every_action import run


def make(api, name="child", **fields):
    answer = api.post("/v1/auth/api-keys", {"name": name} | fields)
    assert answer.status_code == 201, answer.content
    return answer.json()


def works(raw_key):
    return Api(raw_key).get("/v1/auth/me").status_code == 200


def token_of(raw_key):
    answer = Api().post("/v1/auth/api-key-token", {"api_key": raw_key})
    return Api(answer.json()["access_token"])


def by_password():
    answer = Api().post("/v1/auth/token", {"email": "alice@example.com", "password": PASSWORD})
    return Api(answer.json()["access_token"])


@pytest.fixture
def family(alice):
    """Raw keys: a child by a token of Alice's key, its child by itself, an agent's, and one by password."""
    child = make(token_of(alice.raw_key))
    grandchild = make(Api(child["api_key"]), "grandchild")
    agent = Api(grandchild["api_key"]).post("/v1/agents", {"name": "ci"}).json()
    return {"child": child, "grandchild": grandchild, "agent": agent, "other": make(by_password())}


def test_each_key_says_what_it_was_made_with(alice, family):
    child, grandchild = family["child"]["key"], family["grandchild"]["key"]
    assert child["parent_id"] == str(alice.key.pk)
    assert grandchild["parent_id"] == child["id"]
    assert "parent_id" not in family["other"]["key"]
    listed = {each["id"]: each for each in alice.api.get("/v1/auth/api-keys").json()["keys"]}
    assert listed[grandchild["id"]] == grandchild | {
        "last_used_at": listed[grandchild["id"]]["last_used_at"]
    }
    agents = ApiKey.objects.get(principal_id=family["agent"]["agent"]["id"])
    assert str(agents.parent_id) == grandchild["id"]


def test_revoking_a_key_ends_what_was_made_with_it_and_with_that(alice, family):
    tokens = [token_of(family[name]["api_key"]) for name in ("child", "grandchild")]
    agent_key = {"api_key": family["agent"]["api_key"]}
    tokens.append(Api(Api().post("/v1/auth/agent-token", agent_key).json()["access_token"]))
    owner = by_password()
    assert owner.delete(f"/v1/auth/api-keys/{alice.key.pk}").status_code == 204
    assert not any(works(raw) for raw in (alice.raw_key, family["child"]["api_key"]))
    assert not works(family["grandchild"]["api_key"])
    assert [each.get("/v1/auth/me").status_code for each in tokens] == [401, 401, 401]
    assert Api().post("/v1/auth/agent-token", agent_key).status_code == 401
    assert works(family["other"]["api_key"])
    assert owner.get("/v1/auth/me").status_code == 200
    revoked = AuditEvent.objects.filter(action="key.revoke", resource_type="api_key")
    events = {event.resource_id: event.details for event in revoked}
    assert events.pop(alice.key.pk) == {}
    assert list(events.values()) == [{"made_with": str(alice.key.pk)}] * 3
    # The agent is there still, and gets a new key.
    url = f"/v1/agents/{family['agent']['agent']['id']}/rotate-key"
    fresh = {"api_key": owner.post(url).json()["api_key"]}
    assert Api().post("/v1/auth/agent-token", fresh).status_code == 200


def test_children_are_kept_where_that_is_asked_for_and_found_again_later(alice, family):
    child = family["child"]
    url = f"/v1/auth/api-keys/{child['key']['id']}?keep_children=true"
    assert by_password().delete(url).status_code == 204
    assert not works(child["api_key"])
    assert works(family["grandchild"]["api_key"])
    # Of the one that is left, its grandchild is still made with it.
    by_password().delete(f"/v1/auth/api-keys/{alice.key.pk}?keep_children=false")
    assert not works(family["grandchild"]["api_key"])


@pytest.mark.parametrize("query", ["keep_children=yes", "keep_children=", "keep=true"])
def test_a_mistyped_query_revokes_nothing(alice, query):
    answer = alice.api.delete(f"/v1/auth/api-keys/{alice.key.pk}?{query}")
    assert answer.status_code == 400
    assert works(alice.raw_key)


def test_a_key_may_revoke_itself_with_its_children(alice, family):
    assert Api(alice.raw_key).delete(f"/v1/auth/api-keys/{alice.key.pk}").status_code == 204
    assert not works(family["child"]["api_key"])


def test_an_operator_revokes_with_or_without_children(alice, family):
    child = family["child"]["key"]["id"]
    assert "2 keys made with it" in run("revoke_api_key", child)
    assert not works(family["grandchild"]["api_key"])
    more = make(token_of(alice.raw_key))
    assert "0 keys" in run("revoke_api_key", alice.key.pk, "--keep-children")
    assert works(more["api_key"])


def test_a_key_lasts_no_longer_than_the_one_it_was_made_with(alice):
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    ApiKey.objects.filter(pk=alice.key.pk).update(expires_at=end)
    api = token_of(alice.raw_key)
    told = end.isoformat().replace("+00:00", "Z")
    assert make(api)["key"]["expires_at"] == told
    assert make(api, expires_at=told)["key"]["expires_at"] == told
    sooner = (end - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert make(api, expires_at=sooner)["key"]["expires_at"] == sooner
    later = (end + timedelta(seconds=1)).isoformat()
    answer = api.post("/v1/auth/api-keys", {"name": "later", "expires_at": later})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["expires_at"])
    # Likewise for agents, whose answers say it.
    agent = api.post("/v1/agents", {"name": "ci"}).json()
    assert agent["api_key_expires_at"] == told
    url = f"/v1/agents/{agent['agent']['id']}/rotate-key"
    assert api.post(url).json()["api_key_expires_at"] == told
    assert "api_key_expires_at" not in by_password().post(url).json()
    answer = api.post("/v1/agents", {"name": "x", "api_key_expires_at": later})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["api_key_expires_at"])
    assert make(by_password(), expires_at=later)


def test_a_new_agents_key_ends_with_the_key_that_rotated_it(alice, family):
    agent = family["agent"]["agent"]["id"]
    raw = by_password().post(f"/v1/agents/{agent}/rotate-key").json()["api_key"]
    run("revoke_api_key", alice.key.pk)
    assert Api().post("/v1/auth/agent-token", {"api_key": raw}).status_code == 200


def test_a_circle_in_the_database_ends_nowhere(alice, family):
    """No program of ours makes one: the parent is written once, with the key."""
    ApiKey.objects.filter(pk=alice.key.pk).update(parent_id=family["grandchild"]["key"]["id"])
    assert by_password().delete(f"/v1/auth/api-keys/{alice.key.pk}").status_code == 204
    assert not works(family["grandchild"]["api_key"])


@pytest.mark.django_db(transaction=True)
def test_a_key_that_is_being_made_while_its_parent_is_revoked_does_not_survive(alice):
    for _ in range(5):
        parent = make(by_password(), "parent")
        apis = [Api(parent["api_key"]) for _ in range(4)]
        owner = by_password()
        url = f"/v1/auth/api-keys/{parent['key']['id']}"
        acts = [lambda api=api: api.post("/v1/auth/api-keys", {"name": "race"}) for api in apis]
        acts.insert(2, lambda owner=owner, url=url: owner.delete(url))
        answers = all_at_once(lambda n, acts=acts: acts[n](), len(acts))
        assert {each.status_code for each in answers} <= {201, 204, 401}
        made = [each.json()["api_key"] for each in answers if each.status_code == 201]
        assert not any(works(raw) for raw in made)

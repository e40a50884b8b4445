"""What an attacker found, issue 14, point 13: what policies in one's own vault tell, and do to others."""

from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, Permission

from secrets_app.models import Policy
from tests.cast import allow, vault_of


def name_group(who, vault, name):
    policy = {
        "secret_path_pattern": "**",
        "principal_type": "group",
        "principal_id": name,
        "permissions": ["read"],
    }
    return who.api.post(f"/v1/vaults/{vault.pk}/policies", policy)


@pytest.fixture
def team(bob):
    group = Group.objects.create(name="mergers")
    bob.user.groups.add(group)
    return group


def without_id(answer):
    return answer.status_code, answer.json() | {"instance": ""}


def test_a_group_of_others_and_one_that_is_not_there_answer_alike(
    alice, bob, vault, team, django_assert_num_queries
):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    asked = []
    answers = []
    for name in ("mergers", "no-such-group", "MERGERS", "x" * 150):
        with CaptureQueriesContext(connection) as queries:
            answers.append(without_id(name_group(alice, vault, name)))
        asked.append(len(queries))
    assert {status for status, _ in answers} == {400}
    assert all(each == answers[0] for each in answers)
    assert len(set(asked)) == 1
    assert not Policy.objects.exists()


def test_a_member_names_its_group(bob, team):
    assert name_group(bob, vault_of(bob, "mine"), "mergers").status_code == 201


def test_whoever_may_see_all_groups_names_any(alice, vault, team):
    permission = Permission.objects.get(codename="view_group")
    alice.user.user_permissions.add(permission)
    assert name_group(alice, vault, "mergers").status_code == 201
    assert name_group(alice, vault, "no-such-group").status_code == 400


def test_a_policy_for_a_group_stays_the_owners_when_it_leaves(bob, charlie, team):
    vault = vault_of(bob, "mine")
    url = f"/v1/vaults/{vault.pk}/policies"
    policy = name_group(bob, vault, "mergers").json()["id"]
    bob.user.groups.clear()
    assert bob.api.put(f"{url}/{policy}", {"permissions": ["write"]}).status_code == 200
    assert bob.api.delete(f"{url}/{policy}").status_code == 204
    assert name_group(bob, vault, "mergers").status_code == 400


def test_a_wrong_kind_and_an_unknown_id_answer_alike(alice, robot, vault):
    answers = []
    for kind, principal_id in [("user", robot.principal.pk), ("user", uuid4())]:
        policy = {
            "secret_path_pattern": "**",
            "principal_type": kind,
            "principal_id": str(principal_id),
            "permissions": ["read"],
        }
        answers.append(without_id(alice.api.post(f"/v1/vaults/{vault.pk}/policies", policy)))
    assert answers[0] == answers[1]


@pytest.fixture
def shared(alice, charlie):
    """Charlie shares vaults with Alice, unasked, that are called like hers and stand before them."""
    own = [vault_of(alice, name) for name in ("payments", "team")]
    for name in ("AAA", "payments", "team"):
        allow(alice, vault_of(charlie, name), "**", "read")
    return own


def test_vaults_of_others_are_marked_and_stand_behind_ones_own(alice, charlie, shared):
    listed = alice.api.get("/v1/vaults").json()["vaults"]
    assert [each["name"] for each in listed] == ["payments", "team", "AAA", "payments", "team"]
    sharer = f"user:{charlie.principal.pk}"
    assert [each.get("shared_by") for each in listed] == [None, None, sharer, sharer, sharer]
    one = listed[-1]
    assert alice.api.get(f"/v1/vaults/{one['id']}").json() == one
    assert "shared_by" not in alice.api.get(f"/v1/vaults/{shared[0].pk}").json()


def test_an_agent_sees_whose_they_are(robot, alice, shared):
    allow(robot, shared[0], "**", "read")
    (listed,) = robot.api.get("/v1/vaults").json()["vaults"]
    assert listed["shared_by"] == f"user:{alice.principal.pk}"


def test_the_list_can_be_had_in_pages_and_by_half(alice, shared):
    def page(query):
        answer = alice.api.get(f"/v1/vaults?{query}").json()
        return [each["name"] for each in answer["vaults"]], answer.get("next_offset")

    assert page("limit=2") == (["payments", "team"], 2)
    assert page("limit=2&offset=2") == (["AAA", "payments"], 4)
    assert page("limit=2&offset=4") == (["team"], None)
    assert page("offset=9") == ([], None)
    assert page("shared=false") == (["payments", "team"], None)
    assert page("shared=true&limit=1") == (["AAA"], 1)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=-1", "offset=-1", "offset=10001", "shared=maybe", "x=1"],
)
def test_a_bad_query_is_400(alice, query):
    answer = alice.api.get(f"/v1/vaults?{query}")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [query.partition("=")[0]]


def test_very_many_vaults_of_a_stranger_fill_a_page_and_no_more(alice, charlie, shared):
    from secrets_app.models import Vault

    made = [
        Vault(
            owner=charlie.principal,
            created_by=charlie.principal,
            name="0",
            name_key=f"spam {n}",
        )
        for n in range(1100)
    ]
    Vault.objects.bulk_create(made)
    Policy.objects.bulk_create(
        Policy(
            vault=each,
            principal=alice.principal,
            pattern="**",
            permissions=["read"],
            created_by=charlie.principal,
        )
        for each in made
    )
    answer = alice.api.get("/v1/vaults").json()
    assert [each["name"] for each in answer["vaults"][:3]] == ["payments", "team", "0"]
    assert (len(answer["vaults"]), answer["next_offset"]) == (1000, 1000)

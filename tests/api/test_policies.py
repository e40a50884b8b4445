from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group

from secrets_app.errors import InvalidInput
from secrets_app.models import AuditEvent, Policy
from secrets_app.services.access.policies import NewPolicy, create_policy
from secrets_app.services.identity.identification import identify
from tests.cast import allow, body, deny, secret_url, vault_of


def url(vault, policy=None):
    return f"/v1/vaults/{vault.id}/policies" + (f"/{policy}" if policy else "")


def for_person(who, pattern="**", *permissions, **fields):
    return {
        "secret_path_pattern": pattern,
        "principal_type": who.principal.kind,
        "principal_id": str(who.principal.id),
        "permissions": list(permissions) or ["read"],
    } | fields


@pytest.fixture
def written(alice, vault):
    alice.api.put(secret_url(vault), body("hunter2"))
    return secret_url(vault)


def test_a_policy_holds_from_the_next_request_on_and_ends_with_its_deletion(
    alice, bob, vault, written
):
    api = bob.api
    assert api.get(written).status_code == 403
    response = alice.api.post(url(vault), for_person(bob, "api-keys/*"))
    assert response.status_code == 201
    answer = response.json()
    assert set(answer) == {
        "id",
        "vault_id",
        "secret_path_pattern",
        "principal_type",
        "principal_id",
        "permissions",
        "effect",
        "created_by",
        "created_at",
    }
    assert (answer["effect"], answer["principal_type"]) == ("allow", "user")
    assert api.get(written).status_code == 200
    assert alice.api.delete(url(vault, answer["id"])).status_code == 204
    assert api.get(written).status_code == 403
    actions = AuditEvent.objects.filter(resource_type="policy").values_list("action", flat=True)
    assert sorted(actions) == ["policy.create", "policy.delete"]


def test_every_field_is_kept_and_given_back(alice, robot, vault):
    conditions = {
        "ip_allowlist": ["192.0.2.0/24"],
        "time_window": {"after": "22:00", "before": "06:00", "timezone": "Europe/Berlin"},
    }
    fields = for_person(
        robot,
        "prod/*/db",
        "write",
        "read",
        effect="deny",
        conditions=conditions,
        expires_at="2030-01-01T00:00:00Z",
    )
    answer = alice.api.post(url(vault), fields).json()
    assert answer["principal_type"] == "agent"
    assert answer["permissions"] == ["read", "write"]
    assert answer["conditions"] == conditions
    assert answer["expires_at"] == "2030-01-01T00:00:00Z"
    assert alice.api.get(url(vault)).json() == {"policies": [answer]}


def test_policies_are_listed_oldest_first(alice, bob, vault, time_machine):
    start = datetime(2027, 1, 1, tzinfo=UTC)
    for n in (3, 1, 4, 2, 5):
        time_machine.move_to(start + timedelta(minutes=n), tick=False)
        alice.api.post(url(vault), for_person(bob, f"p{n}"))
    listed = alice.api.get(url(vault)).json()["policies"]
    assert [each["secret_path_pattern"] for each in listed] == ["p1", "p2", "p3", "p4", "p5"]


def test_a_policy_that_is_not_there_is_404(alice, vault):
    for method, content in (("PUT", {"permissions": ["read"]}), ("DELETE", None)):
        answer = alice.api.request(method, url(vault, uuid4()), content)
        assert (answer.status_code, answer.json()["detail"]) == (404, "There is no such policy.")


BAD = [
    ("secret_path_pattern", "a*"),
    ("secret_path_pattern", "a//b"),
    ("secret_path_pattern", "+"),
    ("secret_path_pattern", "a\n"),
    ("secret_path_pattern", "a/" * 32 + "a"),
    ("secret_path_pattern", 5),
    ("secret_path_pattern", None),
    ("principal_type", "everybody"),
    ("principal_type", None),
    ("principal_id", "not-an-id"),
    ("principal_id", str(uuid4())),
    ("principal_id", None),
    ("permissions", ["read", "own"]),
    ("permissions", ["list"]),
    ("permissions", []),
    ("permissions", "read"),
    ("permissions", None),
    ("effect", "maybe"),
    ("conditions", {"ip": ["192.0.2.0/24"]}),
    ("conditions", {"ip_allowlist": ["192.0.2.1/24"]}),
    ("conditions", {"time_window": {"after": "8am", "before": "20:00"}}),
    ("conditions", {"time_window": {"after": "08:00", "before": "20:00", "timezone": "Mars"}}),
    ("conditions", []),
    ("expires_at", "soon"),
    ("efect", "deny"),
]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_what_makes_no_sense_is_400_with_the_field_and_makes_nothing(
    alice, bob, vault, field, value
):
    response = alice.api.post(url(vault), for_person(bob) | {field: value})
    assert response.status_code == 400
    (named,) = response.json()["errors"]
    assert named.split(".")[0] == field
    assert not Policy.objects.exists()


GRANTABLE = "read, write, delete, rotate"


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("principal_type", "everybody", "Known are: user, agent, group."),
        ("permissions", [], "This is a list of one or more permissions."),
        ("permissions", "read", "This is a list of one or more permissions."),
        ("permissions", ["read", 5], "This is a list of one or more permissions."),
        ("permissions", ["read", "own"], f"Unknown permission. Known are: {GRANTABLE}."),
        ("effect", "maybe", "Known are: allow, deny."),
    ],
)
def test_whoever_comes_by_no_door_is_told_the_same(alice, bob, vault, field, value, told):
    """The doors know what a policy is; the use case does not rely on that."""
    caller = identify(bearer=alice.token, vault_id=vault.pk, address=None, request_id=uuid4())
    new = NewPolicy(**for_person(bob) | {field: value})
    with pytest.raises(InvalidInput) as refused:
        create_policy(caller=caller, vault_id=vault.pk, new=new)
    assert refused.value.errors == {field: [told]}


def test_the_kind_must_fit_the_principal(alice, bob, robot, vault):
    for who, kind in ((bob, "agent"), (robot, "user")):
        response = alice.api.post(url(vault), for_person(who) | {"principal_type": kind})
        assert list(response.json()["errors"]) == ["principal_id"]


def test_permissions_effect_conditions_and_expiry_can_be_changed(alice, bob, vault, written):
    policy = alice.api.post(url(vault), for_person(bob)).json()["id"]
    api = bob.api
    assert api.get(written).status_code == 200
    changed = alice.api.put(url(vault, policy), {"permissions": ["write"]})
    assert (changed.status_code, changed.json()["permissions"]) == (200, ["write"])
    assert api.get(written).status_code == 403
    assert api.put(written, body()).status_code == 201
    elsewhere = {"ip_allowlist": ["198.51.100.0/24"]}
    alice.api.put(url(vault, policy), {"permissions": ["read"], "conditions": elsewhere})
    assert api.get(written).status_code == 403
    alice.api.put(url(vault, policy), {"conditions": None})
    assert api.get(written).status_code == 200
    alice.api.put(url(vault, policy), {"expires_at": "2001-01-01T00:00:00Z"})
    assert api.get(written).status_code == 403
    alice.api.put(url(vault, policy), {"expires_at": None})
    assert api.get(written).status_code == 200
    alice.api.put(url(vault, policy), {"effect": "deny"})
    assert api.get(written).status_code == 403


@pytest.mark.parametrize(
    "fields",
    [
        {"secret_path_pattern": "**"},
        {"principal_id": str(uuid4())},
        {"permissions": []},
        {"permissions": ["own"]},
        {"conditions": {"x": 1}},
        {"effect": None},
    ],
)
def test_pattern_and_principal_are_fixed_and_nonsense_is_400(alice, bob, vault, fields):
    policy = allow(bob, vault, "a", "read")
    assert alice.api.put(url(vault, policy.id), fields).status_code == 400
    policy.refresh_from_db()
    assert (policy.pattern, policy.permissions, policy.effect) == ("a", ["read"], "allow")


def test_policies_are_the_owners_business_alone(bob, robot, vault):
    policy = allow(bob, vault, "**", "read", "write", "delete", "rotate")
    allow(robot, vault, "**", "read", "write", "delete", "rotate")
    for who in (bob, robot):
        assert who.api.post(url(vault), for_person(who)).status_code == 403
        assert who.api.get(url(vault)).status_code == 403
        assert who.api.put(url(vault, policy.id), {"effect": "allow"}).status_code == 403
        assert who.api.delete(url(vault, policy.id)).status_code == 403
    assert Policy.objects.count() == 2
    denied = AuditEvent.objects.filter(outcome="denied").values_list("action", flat=True)
    assert set(denied) == {"policy.create", "policy.list", "policy.update", "policy.delete"}


def test_a_policy_is_reached_through_its_own_vault_only(alice, bob, charlie, vault):
    policy = allow(bob, vault, "**", "read")
    for other in (vault_of(alice, "other"), vault_of(charlie, "own")):
        owner = alice if other.owner_id == alice.principal.id else charlie
        assert owner.api.delete(url(other, policy.id)).status_code == 404
        assert owner.api.put(url(other, policy.id), {"effect": "deny"}).status_code == 404
    assert alice.api.delete(url(vault, uuid4())).status_code == 404
    assert alice.api.delete(url(vault, "x")).status_code == 400
    assert Policy.objects.get().effect == "allow"


def test_one_principal_or_group_has_at_most_1000_policies_in_a_vault(
    alice, bob, charlie, robot, vault
):
    group = Group.objects.create(name="crowd")
    group.user_set.add(alice.user)
    mine = {"vault": vault, "permissions": ["read"], "created_by": alice.principal}
    for who in ({"principal": bob.principal}, {"group": group}):
        Policy.objects.bulk_create(Policy(pattern=f"p/{n}", **who, **mine) for n in range(999))
    for fields in (for_person(bob, "last"), for_group("crowd")):
        assert alice.api.post(url(vault), fields).status_code == 201
        refused = alice.api.post(url(vault), fields)
        assert refused.status_code == 409
        assert "1000 policies" in refused.json()["detail"]
    assert Policy.objects.count() == 2000
    for who in (charlie, robot):
        assert alice.api.post(url(vault), for_person(who)).status_code == 201
    other = vault_of(alice, "other")
    assert alice.api.post(url(other), for_person(bob)).status_code == 201
    Policy.objects.filter(vault=vault, principal=bob.principal).first().delete()
    assert alice.api.post(url(vault), for_person(bob)).status_code == 201


def test_a_stored_pattern_longer_than_new_ones_may_be_is_judged(alice, bob, vault):
    path = "a/" * 60 + "b"
    alice.api.put(secret_url(vault, path), body())
    allow(bob, vault, "**/" + "a/" * 50 + "*", "read")
    assert bob.api.get(secret_url(vault, path)).status_code == 200
    listed = bob.api.get(f"/v1/vaults/{vault.id}/secrets").json()["secrets"]
    assert [each["path"] for each in listed] == [path]
    deny(bob, vault, "**/" + "a/" * 55 + "b", "read")
    assert bob.api.get(secret_url(vault, path)).status_code == 403
    assert bob.api.get(f"/v1/vaults/{vault.id}/secrets").json()["secrets"] == []


# --- groups ---------------------------------------------------------------------------------------


@pytest.fixture
def team(alice, bob):
    """Alice is in it, so that she may name it."""
    group = Group.objects.create(name="team")
    group.user_set.add(alice.user, bob.user)
    return group


def for_group(name="team", **fields):
    return {
        "secret_path_pattern": "**",
        "principal_type": "group",
        "principal_id": name,
        "permissions": ["read"],
    } | fields


def test_a_group_is_one_principal_and_membership_holds_on_the_next_request(
    alice, bob, charlie, vault, written, team
):
    answer = alice.api.post(url(vault), for_group()).json()
    assert (answer["principal_type"], answer["principal_id"]) == ("group", "team")
    assert bob.api.get(written).status_code == 200
    assert charlie.api.get(written).status_code == 403
    charlie.user.groups.add(team)
    assert charlie.api.get(written).status_code == 200
    bob.user.groups.clear()
    assert bob.api.get(written).status_code == 403


def test_a_deny_for_one_beats_an_allow_for_the_group_and_the_other_way_round(
    alice, bob, vault, written, team
):
    alice.api.post(url(vault), for_group())
    one = deny(bob, vault, "**", "read")
    assert bob.api.get(written).status_code == 403
    one.delete()
    assert bob.api.get(written).status_code == 200
    allow(bob, vault, "**", "read")
    alice.api.post(url(vault), for_group(effect="deny"))
    assert bob.api.get(written).status_code == 403


def test_a_group_makes_members_of_a_vault(alice, bob, vault, written, team):
    alice.api.post(url(vault), for_group())
    assert bob.api.get(f"/v1/vaults/{vault.id}").status_code == 200
    assert [v["name"] for v in bob.api.get("/v1/vaults").json()["vaults"]] == ["team"]
    listed = bob.api.get(f"/v1/vaults/{vault.id}/secrets").json()["secrets"]
    assert [s["path"] for s in listed] == ["api-keys/openai"]


def test_an_unknown_group_is_400(alice, vault):
    response = alice.api.post(url(vault), for_group("nobody"))
    assert response.json()["errors"] == {"principal_id": ["You are in no such group."]}


def test_groups_come_with_the_same_single_query(alice, bob, vault, team, django_assert_num_queries):
    from secrets_app.services.identity.identification import identify

    alice.api.post(url(vault), for_group())
    allow(bob, vault, "a", "read")
    token = bob.token
    with django_assert_num_queries(1):
        caller = identify(bearer=token, vault_id=vault.id, address=None, request_id=uuid4())
    assert len(caller.vault.rules) == 2

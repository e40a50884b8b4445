"""Vaults as mounts, what the service tells of itself, and what it does not know."""

from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from secrets_app.models import Agent, Policy, Secret, Vault
from secrets_app.services.identity.tokens import issue_token
from secrets_app.services.secrets import mounts
from secrets_app.sql.compiled import CompiledQuery
from tests.cast import Person, allow, deny, person, vault_of
from tests.vault_api.conftest import Door


def test_the_preflight_finds_the_mount_by_name_and_by_id(alice, bob, charlie, vault, door):
    allow(bob, vault, "x/**", "read")
    for who in (alice, bob):
        for mount in ("team", str(vault.pk)):
            told = door(who)("GET", f"sys/internal/ui/mounts/{mount}/data/x/y").json()["data"]
            assert (told["path"], told["type"]) == (f"{mount}/", "kv")
            assert (told["options"], told["uuid"]) == ({"version": "2"}, str(vault.pk))
            assert told["accessor"].startswith("kv_")
    for mount in ("team", str(vault.pk), "none", str(uuid4()), "sp ace", "ünï"):
        answer = door(charlie)("GET", f"sys/internal/ui/mounts/{mount}")
        assert (answer.status_code, answer.json()) == (403, {"errors": ["permission denied"]})


def test_a_name_of_two_vaults_that_others_share_is_of_none(alice, bob, charlie, vault, door):
    theirs = vault_of(bob, "team")
    allow(charlie, vault, "**", "read")
    assert door(charlie)("GET", "team/config").status_code == 200
    allow(charlie, theirs, "**", "read")
    for method, path in (("GET", "team/data/a"), ("GET", "sys/internal/ui/mounts/team")):
        answer = door(charlie)(method, path)
        assert answer.status_code == 400
        assert "vault's id" in answer.json()["errors"][0]
    assert Door(charlie.raw_key)("GET", "team/data/a").status_code == 400
    assert door(charlie)("GET", f"{vault.pk}/config").status_code == 200
    seen = door(charlie)("GET", "sys/mounts").json()
    assert seen["data"].keys() == {f"{vault.pk}/", f"{theirs.pk}/"}
    assert door(bob)("GET", "sys/mounts").json()["data"].keys() == {"team/"}


def test_a_name_means_ones_own_vault_whatever_others_share(alice, bob, vault, door):
    """A stranger's vault of the same name neither takes the name nor takes it away."""
    theirs = vault_of(bob, "team")
    allow(alice, theirs, "**", "read", "write")
    for mine in (door(alice), Door(alice.raw_key)):
        assert mine.put("team/a", {"n": 1}).status_code == 200
        told = mine("GET", "sys/internal/ui/mounts/team").json()["data"]
        assert told["uuid"] == str(vault.pk)
        assert mine("GET", "sys/mounts").json()["data"].keys() == {"team/", f"{theirs.pk}/"}
    assert {each.vault_id for each in Secret.objects.all()} == {vault.pk}


def test_what_is_written_by_name_goes_into_no_vault_of_others(alice, bob, vault, door):
    """Who shares a vault under a name that somebody expects would collect what is meant for another."""
    allow(bob, vault, "**", "read", "write", "delete")
    by_name = door(bob)
    door(alice).put("team/a", {"n": 1})
    assert by_name.data("team/a") == {"n": 1}
    assert by_name("LIST", "team/metadata").status_code == 200
    for method, path, content in (
        ("PUT", "data/a", {"data": {}}),
        ("PATCH", "data/a", {"data": {}}),
        ("DELETE", "data/a", None),
        ("PUT", "delete/a", {"versions": [1]}),
        ("PUT", "undelete/a", {"versions": [1]}),
        ("PUT", "metadata/a", {"custom_metadata": {}}),
        ("PATCH", "metadata/a", {"custom_metadata": {}}),
    ):
        answer = by_name(method, f"team/{path}", content)
        assert (answer.status_code, "vault's id" in answer.text) == (400, True)
        assert by_name(method, f"{vault.pk}/{path}", content).status_code in (200, 204)
    told = by_name("PUT", "sys/capabilities-self", {"paths": ["team/data/a", f"{vault.pk}/data/a"]})
    told = told.json()["data"]
    assert told["team/data/a"] == ["read"]
    assert told[f"{vault.pk}/data/a"] == ["create", "read", "update", "patch", "delete"]


@pytest.mark.django_db(transaction=True)
def test_a_vault_by_its_name_is_as_many_round_trips_as_by_its_id(alice, bob, robot, vault, door):
    door(alice).put("team/a", {"n": 1})
    for each in (bob, robot):
        allow(each, vault, "**", "read")
    # One's own, one that is shared, one of an agent's owner; each with a token and, for people, a key.
    for mine in (*map(door, (alice, bob, robot)), *(Door(each.raw_key) for each in (alice, bob))):
        for mount in ("team", str(vault.pk)):
            mine.data(f"{mount}/a")  # statements are put together at their first use
            with CaptureQueriesContext(connection) as asked:
                assert mine.data(f"{mount}/a") == {"n": 1}
            assert len(asked) == 2


def test_a_name_means_what_it_means_at_the_moment(alice, bob, vault, door):
    """Nothing is remembered of a name: a vault that was renamed, deleted or closed is not met by it."""
    theirs, mine = vault_of(bob, "other"), door(alice)
    for owner, each in ((alice, vault), (bob, theirs)):
        door(owner).put(f"{each.pk}/a", {"of": str(each.pk)})
    allow(alice, theirs, "**", "read")
    assert mine.data("team/a") == {"of": str(vault.pk)}
    Vault.objects.filter(pk=vault.pk).update(name="old")
    Vault.objects.filter(pk=theirs.pk).update(name="team")
    assert mine.data("team/a") == {"of": str(theirs.pk)}
    assert mine.data("old/a") == {"of": str(vault.pk)}
    assert mine("GET", "other/data/a").status_code == 403
    Vault.objects.filter(pk=vault.pk).update(name="team")
    assert mine.data("team/a") == {"of": str(vault.pk)}
    alice.api.delete(f"/v1/vaults/{vault.pk}")
    assert mine.data("team/a") == {"of": str(theirs.pk)}
    Policy.objects.filter(principal=alice.principal).delete()
    assert mine("GET", "team/data/a").status_code == 403


def test_an_agents_own_vaults_are_those_of_its_owner_that_it_may_enter(robot, alice, bob, door):
    owner = Agent.objects.get(pk=robot.principal.pk).owner
    own, theirs = (vault_of(Person(who, robot.key, ""), "team") for who in (owner, bob.principal))
    allow(robot, theirs, "**", "read", "write")
    assert door(robot)("GET", "team/config").status_code == 200
    assert door(robot).put("team/a", {}).status_code == 400
    allow(robot, own, "**", "read", "write")
    assert door(robot).put("team/a", {}).status_code == 200
    assert Secret.objects.get().vault_id == own.pk
    assert door(robot)("GET", "sys/mounts").json()["data"].keys() == {"team/", f"{theirs.pk}/"}
    Agent.objects.filter(pk=robot.principal.pk).update(vault_ids=[str(theirs.pk)])
    told = door(robot)("GET", "sys/internal/ui/mounts/team").json()["data"]
    assert told["uuid"] == str(theirs.pk)


def test_vaults_that_agent_or_token_may_not_enter_make_no_name_ambiguous(
    robot, alice, bob, vault, door
):
    theirs = vault_of(bob, "team")
    for each in (vault, theirs):
        allow(robot, each, "**", "read")
    assert door(robot)("GET", "team/config").status_code == 400
    narrow = issue_token(
        principal=robot.principal, api_key=robot.key, lifetime_s=60, vault_ids=[str(vault.pk)]
    )
    assert Door(narrow.access_token)("GET", "team/config").status_code == 200
    Agent.objects.filter(pk=robot.principal.pk).update(vault_ids=[str(theirs.pk)])
    assert door(robot)("GET", "team/config").status_code == 200
    assert Door(narrow.access_token)("GET", "team/config").status_code == 403


def test_more_vaults_of_a_name_than_are_looked_at_are_several(alice, bob, vault, door, monkeypatch):
    monkeypatch.setattr(mounts, "_MOST", 1)
    # The number is written into the statement, and this one must not be kept.
    monkeypatch.setattr(mounts, "_SEEN", CompiledQuery(mounts._seen))
    allow(bob, vault, "**", "read")
    assert door(bob)("GET", "team/config").status_code == 400
    assert door(alice)("GET", "team/config").status_code == 200


def test_requests_with_an_ambiguous_name_are_counted(alice, bob, charlie, vault, door, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"RATE_LIMIT": "3/minute"}
    for each in (vault, vault_of(bob, "team")):
        allow(charlie, each, "**", "read")
    mine = door(charlie)
    assert [mine("GET", "team/data/a").status_code for _ in range(5)] == [400] * 3 + [429] * 2


def test_a_vault_named_like_the_id_of_another_takes_no_place(alice, bob, vault, door):
    theirs = vault_of(bob, str(vault.pk))
    allow(alice, theirs, "**", "read")
    told = door(alice)("GET", "sys/mounts").json()["data"]
    assert {name: each["uuid"] for name, each in told.items()} == {
        "team/": str(vault.pk),
        f"{theirs.pk}/": str(theirs.pk),
    }
    odd = vault_of(alice, "Name with spaces")
    allow(alice, vault_of(bob, str(odd.pk)), "**", "read")
    told = door(alice)("GET", "sys/mounts").json()["data"]
    assert told[f"{odd.pk}/"]["uuid"] == str(odd.pk)


def test_a_policy_that_has_ended_or_denies_names_no_mount(alice, bob, vault, door):
    deny(bob, vault, "**", "read")
    allow(bob, vault, "**", "read", expires_at="2020-01-01T00:00:00Z")
    assert door(bob)("GET", "sys/mounts").json()["data"] == {}
    assert door(bob)("GET", "team/config").status_code == 403
    alice.api.delete(f"/v1/vaults/{vault.pk}")
    assert door(alice)("GET", "team/config").status_code == 403
    assert door(alice)("GET", f"{vault.pk}/data/a").status_code == 403


def test_a_policy_that_gives_nothing_makes_no_name_ambiguous(alice, bob, charlie, vault, door):
    allow(charlie, vault, "**", "read")
    expired, broken, elsewhere, empty, denied = (
        vault_of(owner, "team") for owner in (bob, *(person(f"owner-{n}") for n in range(4)))
    )
    allow(charlie, expired, "**", "read", expires_at="2020-01-01T00:00:00Z")
    deny(charlie, expired, "**", "read")
    allow(charlie, broken, "**", "read", conditions={"unknown": 1})
    allow(charlie, elsewhere, "**", "read", conditions={"ip_allowlist": ["203.0.113.0/24"]})
    allow(charlie, empty, "**")
    allow(charlie, denied, "**", "read")
    deny(charlie, denied, "**", "read")
    assert door(charlie)("GET", "team/config").status_code == 200
    assert Door(charlie.raw_key)("GET", "team/config").status_code == 200


def test_mounts_are_listed_for_clients_and_pages(alice, vault, door):
    odd = vault_of(alice, "Name with spaces")
    told = door(alice)("GET", "sys/mounts").json()
    assert told["data"].keys() == {"team/", f"{odd.pk}/"}
    assert told["team/"] == told["data"]["team/"]
    pages = door(alice)("GET", "sys/internal/ui/mounts").json()["data"]
    assert pages == {"secret": told["data"], "auth": {}}


def test_capabilities_follow_policies(alice, bob, charlie, vault, door):
    allow(bob, vault, "a/**", "read")
    allow(bob, vault, "b/**", "write")
    allow(bob, vault, "c", "delete")
    allow(bob, vault, "d/**", "read", "write")

    def of(who, *paths):
        told = door(who)("POST", "sys/capabilities-self", {"paths": list(paths)}).json()
        assert all(told[path] == told["data"][path] for path in paths)
        return [told["data"][path] for path in paths]

    data = [f"{vault.pk}/data/{path}" for path in ("a/x", "b/x", "c", "d/x")]
    assert of(bob, *data) == [
        ["read"],
        ["create", "update", "delete"],
        ["delete"],
        ["create", "read", "update", "patch", "delete"],
    ]
    assert of(bob, "team/metadata/a/x", f"{vault.pk}/metadata/b/x", "team/destroy/b/x") == [
        ["read", "list"],
        ["create", "update", "patch"],
        ["deny"],
    ]
    assert of(alice, f"{vault.pk}/data/x", "team/metadata/x", "team/destroy/x") == [
        ["create", "read", "update", "patch", "delete"],
        ["create", "read", "update", "patch", "delete", "list"],
        ["create", "update"],
    ]
    assert of(charlie, "team/data/a", "none/data/a", "x", "", "team/data/..") == [["deny"]] * 5
    assert of(charlie, "auth/token/lookup-self") == [["read"]]
    one = door(bob)("PUT", "sys/capabilities-self", {"path": "team/data/a/x"}).json()
    assert one["capabilities"] == one["data"]["capabilities"] == ["read"]
    for wrong in ({}, {"paths": []}, {"paths": [1]}, {"path": 1}, {"paths": ["x"] * 101}):
        assert door(bob)("PUT", "sys/capabilities-self", wrong).status_code == 400
    assert door(bob)("PUT", "sys/capabilities-self", {"path": "request_id"}).json()["data"] == {
        "request_id": ["deny"],
        "capabilities": ["deny"],
    }


def test_capabilities_that_are_not_there_are_not_told(alice, bob, vault, door):
    deny(bob, vault, "**", "read")
    paths = [f"{vault.pk}/metadata", f"{vault.pk}/metadata/a/", f"{vault.pk}/config"]
    told = door(bob)("PUT", "sys/capabilities-self", {"paths": paths}).json()["data"]
    assert [told[path] for path in paths] == [["deny"]] * 3
    other = vault_of(bob, "other")
    Vault.objects.filter(pk=other.pk).update(destroyed_at=timezone.now())
    answer = door(bob)("PUT", "sys/capabilities-self", {"paths": ["other/data/a", "sys/mounts"]})
    assert answer.status_code == 200
    assert answer.json()["data"] == {"other/data/a": ["deny"], "sys/mounts": ["read"]}


def test_what_the_service_is_needs_no_token(db):
    nobodys = Door(None)
    health = nobodys("GET", "sys/health?standbycode=200&perfstandbyok=true")
    assert health.status_code == 200
    told = health.json()
    assert (told["initialized"], told["sealed"], told["standby"]) == (True, False, False)
    assert told["version"].startswith("1.15.0+vaultsite.")
    assert UUID(told["cluster_id"])
    assert nobodys("HEAD", "sys/health").status_code == 200
    assert nobodys("GET", "sys/seal-status").json()["t"] == 1
    assert nobodys("GET", "sys/leader").json() == {"ha_enabled": False}
    assert nobodys("GET", "sys/init").json() == {"initialized": True}


def test_without_a_root_key_it_is_sealed(db, settings, tmp_path):
    key = tmp_path / "none.key"
    settings.SECRETS_APP = settings.SECRETS_APP | {"ROOT_KEY_URLS": [f"file:{key}"]}
    health = Door(None)("GET", "sys/health")
    assert (health.status_code, health.json()["sealed"]) == (503, True)
    assert Door(None)("GET", "sys/seal-status").json()["sealed"] is True


def test_what_is_not_supported_says_so(alice, vault, door):
    mine = door(alice)
    for headers, said in (
        ({"X-Vault-Namespace": "team-a"}, "namespaces are not supported"),
        ({"X-Vault-Wrap-TTL": "60s"}, "response wrapping is not supported"),
    ):
        answer = mine("GET", "team/config", headers=headers)
        assert answer.status_code == 400
        assert said in answer.json()["errors"][0]
    assert mine("GET", "team/config", headers={"X-Vault-Namespace": ""}).status_code == 200
    for path in ("sys/policies/acl", "sys/wrapping/wrap", "auth/token/lookup", "team/none/x", ""):
        answer = mine("GET", path)
        assert (answer.status_code, answer.json()) == (404, {"errors": ["unsupported path"]})
    assert mine.api.get("/vault/x").json() == {"errors": ["unsupported path"]}
    for method, path in (
        ("HEAD", "team/data/a"),
        ("OPTIONS", "team/data/a"),
        ("PATCH", "team/config"),
        ("TRACE", "team/data/a"),
    ):
        answer = mine(method, path)
        assert answer.status_code == 405
        assert answer["Allow"]


@pytest.mark.parametrize(
    "path", ["", "a/", "/a", "a//b", "a/../b", "a.b", "a b", "ünï", "a\n", "x" * 513, "a%2e"]
)
def test_a_path_that_is_no_path_is_a_400_that_says_what_one_is(alice, vault, door, path):
    from urllib.parse import quote

    for method in ("GET", "PUT", "PATCH", "DELETE"):
        answer = door(alice)(method, f"team/data/{quote(path)}", {"data": {}})
        assert answer.status_code == 400
        assert "path" in answer.json()["errors"][0]


def test_a_host_that_is_not_ours_is_told_so_in_this_doors_form(alice, vault, door):
    answer = door(alice)("GET", "team/config", headers={"Host": "elsewhere.example"})
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/json"


def test_the_door_can_be_shut():
    import subprocess
    import sys

    code = (
        "import os, django; os.environ['VAULT_DOOR'] = 'off';"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings'; django.setup();"
        "from django.test import Client; c = Client();"
        "print(c.get('/vault/v1/sys/leader').status_code, c.get('/v1/openapi.json').status_code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["404", "200"]

import json
from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.utils import timezone

from secrets_app.models import Agent, AuditEvent, Policy, Principal
from tests.cast import Api, agent, allow, deny, vault_of


def run(*arguments):
    out = StringIO()
    call_command(*map(str, arguments), stdout=out)
    return out.getvalue()


def run_json(*arguments):
    return json.loads(run(*arguments, "--json"))


def test_an_operator_makes_and_revokes_a_key(alice):
    made = run_json("create_api_key", "ALICE@example.com", "--name", "ci")
    assert Api(made["api_key"]).get("/v1/auth/me").status_code == 200
    assert run_json("revoke_api_key", made["id"]) == {
        "id": made["id"],
        "revoked": True,
        "children_revoked": 0,
    }
    assert Api(made["api_key"]).get("/v1/auth/me").status_code == 401
    operators = AuditEvent.objects.filter(actor_type="operator", resource_id=made["id"])
    assert sorted(operators.values_list("action", flat=True)) == ["key.create", "key.revoke"]
    with pytest.raises(CommandError, match="no such key"):
        run("revoke_api_key", made["id"])


def test_a_key_may_end(alice):
    made = run_json("create_api_key", "alice@example.com", "--expires-at", "2001-01-01T00:00:00Z")
    assert Api(made["api_key"]).get("/v1/auth/me").status_code == 401
    for bad in ("tomorrow", "2030-01-01", "2030-01-01T00:00:00"):
        with pytest.raises(CommandError, match="offset"):
            run("create_api_key", "alice@example.com", "--expires-at", bad)
    assert "1ck_" in run("create_api_key", "alice@example.com")


def test_an_operator_registers_an_agent(alice, vault):
    made = run_json("create_agent", "alice@example.com", "deploy", "--vault", vault.id)
    answer = Api().post("/v1/auth/agent-token", {"api_key": made["api_key"]}).json()
    assert (answer["agent_id"], answer["vault_ids"]) == (made["id"], [str(vault.id)])
    assert [a["id"] for a in alice.api.get("/v1/agents").json()["agents"]] == [made["id"]]
    assert "ocv_" in run("create_agent", "alice@example.com", "second")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["create_api_key", "nobody@example.com"], "no such person"),
        (["create_api_key", "alice@example.com", "--name", ""], "1 to 255"),
        (["create_agent", "nobody@example.com", "x"], "no such person"),
        (["create_agent", "alice@example.com", "a\nb"], "printable"),
        (["create_agent", "alice@example.com", "x", "--vault", "none"], "no such vault"),
        (["create_agent", "alice@example.com", "x", "--token-ttl", "5"], "60 to 86400"),
        (["whocan", "none", "a", "read"], "no such vault"),
        (["whocan", str(uuid4()), "a", "read"], "no such vault"),
        (["whocan", "team", "a..b", "read"], "segments"),
    ],
)
def test_what_is_not_there_or_makes_no_sense_is_said(alice, vault, arguments, says):
    with pytest.raises(CommandError, match=says):
        run(*arguments)


def test_whocan_names_everybody_and_by_which_policy(alice, bob, charlie, robot, vault):
    group = Group.objects.create(name="team")
    charlie.user.groups.add(group)
    by_group = Policy.objects.create(
        vault=vault,
        group=group,
        pattern="prod/**",
        permissions=["read"],
        created_by=alice.principal,
    )
    direct = allow(robot, vault, "prod/*", "read")
    allow(bob, vault, "**", "read")
    deny(bob, vault, "prod/**", "read")
    holders = run_json("whocan", "team", "prod/db", "read")["holders"]
    assert [(h["name"], h["reason"], h["policies"]) for h in holders] == [
        ("alice@example.com", "owner", []),
        ("charlie@example.com", "allowed_by_policy", [str(by_group.id)]),
        ("robot", "allowed_by_policy", [str(direct.id)]),
    ]
    text = run("whocan", vault.id, "prod/db", "read")
    assert str(direct.id) in text
    assert "bob" not in text
    assert "alice" in run("whocan", vault.id, "prod/db", "write")


def test_whocan_judges_at_this_moment_and_names_the_owner_first(
    alice, bob, charlie, vault, time_machine
):
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    soon = now + timedelta(microseconds=1)
    own = vault_of(bob, "of bob")
    lasting = allow(alice, own, "**", "read", expires_at=soon)
    allow(charlie, own, "**", "read", expires_at=now)
    Principal.objects.filter(pk=alice.principal.pk).update(expires_at=soon)
    who = [
        {
            "principal_id": str(each.principal.pk),
            "type": "user",
            "name": each.user.email,
            "reason": reason,
            "policies": policies,
        }
        for each, reason, policies in (
            (bob, "owner", []),
            (alice, "allowed_by_policy", [str(lasting.pk)]),
        )
    ]
    assert run_json("whocan", own.pk, "a", "read") == {"holders": who}
    Principal.objects.filter(pk=alice.principal.pk).update(expires_at=now)
    assert run_json("whocan", own.pk, "a", "read") == {"holders": who[:1]}


def test_whocan_leaves_out_agents_of_other_vaults(alice, vault):
    other = vault_of(alice, "other")
    for name, vaults in (("a1", [other]), ("a2", [vault]), ("a3", [other]), ("a4", [])):
        allow(agent(name), vault, "**", "read")
        found = Agent.objects.filter(principal__name=name)
        found.update(vault_ids=[str(each.pk) for each in vaults])
    holders = run_json("whocan", vault.pk, "a", "read")["holders"]
    assert [(each["name"], each["type"]) for each in holders] == [
        ("alice@example.com", "user"),
        ("a2", "agent"),
        ("a4", "agent"),
    ]


def test_whocan_leaves_out_who_cannot_sign_in(alice, bob, vault):
    allow(bob, vault, "**", "read")
    bob.user.is_active = False
    bob.user.save()
    assert "bob" not in run("whocan", vault.id, "a", "read")


def test_a_name_that_two_vaults_have_is_refused(alice, bob):
    vault_of(alice, "same")
    vault_of(bob, "same")
    with pytest.raises(CommandError, match="Several"):
        run("whocan", "same", "a", "read")

"""What operators do in the admin: asked again, by a service, with an event, and only where permitted."""

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import Permission
from django.urls import reverse

from secrets_app.models import AuditEvent, Secret, SecretVersion, SignInSession, VaultKey
from tests.cast import PASSWORD, Api, vault_of
from tests.every_action import ADMIN_ACTIONS, make_world, operator_client, web_session
from vaultsite.accounts.models import User


@pytest.fixture
def world(alice, bob, tmp_path):
    return make_world(alice, bob, tmp_path)


def act(client, row, action, *more, confirmed=True, **fields):
    url = reverse(f"admin:secrets_app_{row._meta.model_name}_changelist")
    sent = {"action": action, ACTION_CHECKBOX_NAME: [str(each.pk) for each in (row, *more)]}
    sent |= fields | ({"confirmed": "yes"} if confirmed else {})
    return client.post(url, sent, follow=True)


def told(answer):
    return [str(message) for message in answer.context["messages"]]


def test_it_asks_before_anything_is_done(world):
    version = SecretVersion.objects.get(secret__path="a")
    before = AuditEvent.objects.count()
    page = act(world.operator, version, "disable", confirmed=False)
    assert "Disable these versions" in page.content.decode()
    assert "a v1" in page.content.decode()
    assert AuditEvent.objects.count() == before
    version.refresh_from_db()
    assert version.disabled_at is None


def test_a_disabled_version_cannot_be_read(world):
    act(world.operator, SecretVersion.objects.get(secret__path="a"), "disable")
    assert world.api.get(world.at("/secrets/a")).status_code == 410


def test_a_version_of_a_deleted_secret_can_be_disabled_and_stays_so(world):
    act(world.operator, SecretVersion.objects.get(secret__path="gone"), "disable")
    world.api.post(world.at("/secret-undelete/gone"))
    assert world.api.get(world.at("/secrets/gone")).status_code == 410


def test_a_revoked_key_is_refused_at_once_and_cannot_be_revoked_again(world):
    answer = act(world.operator, world.alice.key, "revoke")
    assert "revoked" in told(answer)[0]
    assert Api(world.alice.raw_key).get("/v1/auth/me").status_code == 401
    assert "There is no such key." in told(act(world.operator, world.alice.key, "revoke"))[0]


def test_a_deactivated_agent_is_out(world):
    from secrets_app.models import Agent

    agent = world.agent
    assert agent.get("/v1/agents/me").status_code == 200
    act(world.operator, Agent.objects.get(pk=world.agent_id), "deactivate")
    assert agent.get("/v1/agents/me").status_code == 401
    again = Api().post("/v1/auth/agent-token", {"api_key": world.agent_key})
    assert again.status_code == 401


def test_ending_tokens_ends_all_so_far_and_leaves_keys(world):
    api = world.api
    act(world.operator, world.alice.principal, "end_tokens")
    assert api.get("/v1/auth/me").status_code == 401
    assert Api(world.alice.raw_key).get("/v1/auth/me").status_code == 200


def test_an_operator_sees_sessions_and_ends_one(world):
    mine, other = (
        Api().post("/v1/auth/token", {"email": "alice@example.com", "password": PASSWORD}).json()
        for _ in range(2)
    )
    session = SignInSession.objects.order_by("-id")[1]
    url = reverse("admin:secrets_app_signinsession_changelist")
    page = world.operator.get(url, {"state": "living"}).content.decode()
    assert str(session.pk) in page
    assert session.handle_digest not in page
    answer = act(world.operator, session, "end")
    assert "ended, with its tokens." in told(answer)[0]
    assert Api(mine["access_token"]).get("/v1/auth/me").status_code == 401
    assert Api(other["access_token"]).get("/v1/auth/me").status_code == 200
    assert str(session.pk) not in world.operator.get(url, {"state": "living"}).content.decode()
    assert str(session.pk) in world.operator.get(url, {"state": "ended"}).content.decode()
    event = AuditEvent.objects.get(action="auth.session_end")
    assert event.resource_id == session.pk
    assert event.actor_id == User.objects.get(email="operator@example.com").principal.pk


def test_rotating_a_vaults_key_moves_its_values_and_keeps_them_readable(world):
    answer = act(world.operator, world.vault, "rotate")
    assert "key 2 seals from now on; 2 values were moved." in told(answer)[0]
    assert VaultKey.objects.get(vault=world.vault, state="active").version == 2
    assert world.api.get(world.at("/secrets/a")).json()["value"] == "s3cr3t"


def test_a_rotation_too_long_to_wait_for_says_so_and_is_gone_on_with(world, monkeypatch):
    monkeypatch.setattr("secrets_app.admin.vault._VALUES_MOVED_AT_ONCE", 1)
    monkeypatch.setattr("secrets_app.services.keys.batches._ROWS", 1)
    answer = act(world.operator, world.vault, "rotate")
    assert "1 values were moved. Do it again" in told(answer)[0]
    assert told(act(world.operator, world.vault, "rotate")) == [
        f"{world.vault}: 1 values were moved."
    ]
    assert VaultKey.objects.filter(vault=world.vault).count() == 2
    assert not SecretVersion.objects.filter(vault_key__version=1).exists()


def test_one_refusal_does_not_hold_back_the_others(world):
    act(world.operator, world.spare_key, "revoke")
    answer = act(world.operator, world.spare_key, "revoke", world.alice.key)
    assert sorted(each.split(": ")[1] for each in told(answer)) == [
        "There is no such key.",
        "revoked, with its tokens and 1 keys made with it.",
    ]


def test_too_many_rows_at_once_are_refused(world, monkeypatch):
    monkeypatch.setattr("secrets_app.admin.vault._VAULTS_AT_ONCE", 1)
    answer = act(world.operator, world.vault, "rotate", vault_of(world.alice, "another"))
    assert told(answer) == ["Choose at most 1 rows."]
    assert VaultKey.objects.filter(vault=world.vault).count() == 1


@pytest.mark.parametrize("action", ADMIN_ACTIONS, ids=" ".join)
def test_an_auditor_sees_and_does_nothing(action, world):
    auditor = operator_client("auditor")
    model, name = action
    app = "usersessions" if model == "usersession" else "secrets_app"
    url = reverse(f"admin:{app}_{model}_changelist")
    if model == "usersession":
        web_session(world)
    page = auditor.get(url)
    assert page.status_code == 200
    assert f'value="{name}"' not in page.content.decode()
    before = AuditEvent.objects.count()
    world.operator = auditor
    ADMIN_ACTIONS[action](world)
    assert AuditEvent.objects.count() == before
    acting = operator_client("operator", "other")
    if name == "hand_over":
        user = User.objects.get(email="other@example.com")
        user.user_permissions.add(Permission.objects.get(codename="hand_over_agent"))
    assert f'value="{name}"' in acting.get(url).content.decode()


def test_to_hand_an_agent_over_is_of_no_role_and_takes_a_second_person(world):
    from secrets_app.models import Agent

    agent = Agent.objects.get(pk=world.agent_id)
    operator = operator_client("operator", "other")
    act(operator, agent, "hand_over", to="bob@example.com")
    agent.refresh_from_db()
    assert agent.owner == world.alice.principal
    user = User.objects.get(email="other@example.com")
    user.user_permissions.add(Permission.objects.get(codename="hand_over_agent"))
    # Whoever has an agent can act as it, so nobody takes one.
    answer = act(operator, agent, "hand_over", to="other@example.com")
    assert "Nobody hands an agent over to themselves." in told(answer)[0]
    asked_again = act(operator, agent, "hand_over", to="nobody@example.com")
    assert "There is no such person." in asked_again.content.decode()
    assert act(operator, agent, "hand_over", confirmed=False).status_code == 200
    agent.refresh_from_db()
    assert agent.owner == world.alice.principal
    answer = act(operator, agent, "hand_over", to="BOB@example.com")
    assert "belongs to bob@example.com now" in told(answer)[0]
    agent.refresh_from_db()
    assert agent.owner == world.bob.principal
    event = AuditEvent.objects.get(action="agent.hand_over")
    assert event.actor_id == user.principal.pk
    assert event.details == {"from": str(world.alice.principal.pk), "to": str(agent.owner_id)}


def test_a_role_holds_no_more_than_it_says(db):
    from secrets_app.services.identity.roles import ACTIONS, permissions_of

    auditor = {p.codename for p in permissions_of(role="auditor")}
    assert all(each.startswith("view_") for each in auditor)
    assert {"view_auditevent", "view_secret", "view_user", "view_group"} <= auditor
    assert {p.codename for p in permissions_of(role="operator")} - auditor == set(ACTIONS)


def test_staff_without_a_role_see_nothing(world, db):
    from django.test import Client

    client = Client()
    client.force_login(User.objects.create_user("staff@example.com", "x", is_staff=True))
    assert client.get("/admin/").status_code == 200
    assert client.get(reverse("admin:secrets_app_secret_changelist")).status_code == 403
    assert Secret.objects.exists()


def test_the_group_command_gives_a_role(operator, db):
    from django.contrib.auth.models import Group

    from tests.every_action import run

    run("group", "watchers", "--role", "auditor")
    assert Group.objects.get(name="watchers").permissions.filter(codename="view_secret").exists()
    event = AuditEvent.objects.get(action="group.grant")
    assert event.details == {"group": "watchers", "role": "auditor"}

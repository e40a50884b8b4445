"""What ends all tokens of a person ends their web sessions, in the same transaction."""

from datetime import timedelta

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.utils import timezone

from secrets_app.errors import NotFound
from secrets_app.models import AuditEvent
from secrets_app.services.audit import OPERATOR
from secrets_app.services.identity import deactivate_person, end_tokens, principal_for_user
from tests.accounts.sign_in import SECOND_STEP, browser, sign_in
from tests.api.test_sessions import sign_in as sign_in_to_api
from tests.api.test_sessions import works
from tests.cast import PASSWORD, Api
from tests.every_action import run
from tests.factors import asked, set_up, verify
from vaultsite.accounts.models import User

PAGE = "/accounts/"


@pytest.fixture
def page(alice):
    client, _ = sign_in("alice@example.com")
    assert client.get(PAGE).status_code == 200
    return client


def is_out(client):
    return client.get(PAGE).headers.get("Location", "").startswith("/accounts/login/")


@pytest.mark.parametrize("by", ["service", "api"])
def test_ending_all_tokens_ends_web_sessions_at_the_next_request(alice, bob, page, by):
    other, _ = sign_in("bob@example.com")
    if by == "api":
        assert alice.api.delete("/v1/auth/sessions").status_code == 204
    else:
        end_tokens(principal_id=alice.principal.id, actor=OPERATOR)
    assert is_out(page)
    assert not is_out(other)
    again, _ = sign_in("alice@example.com")
    assert not is_out(again)


def test_ending_all_in_the_admin_ends_the_admins_sessions(alice, db):
    root = User.objects.create_superuser("root@example.com", PASSWORD)
    admin, _ = sign_in("root@example.com")
    assert admin.get("/admin/").status_code == 200
    end_tokens(principal_id=principal_for_user(root).id, actor=OPERATOR)
    assert admin.get("/admin/").status_code == 302


def test_deactivation_ends_all_at_once_and_undoing_it_brings_nothing_back(alice, page):
    token = sign_in_to_api()["access_token"]
    run("deactivate_user", "alice@example.com")
    assert is_out(page)
    assert not works(token)
    assert not works(alice.raw_key)
    refused = Api().post("/v1/auth/token", {"email": "alice@example.com", "password": PASSWORD})
    assert refused.status_code == 401
    run("deactivate_user", "alice@example.com", "--undo")
    assert is_out(page)
    assert not works(token)
    assert works(sign_in_to_api()["access_token"])
    actions = AuditEvent.objects.filter(action__startswith="user.").order_by("id")
    assert [(e.action, e.resource_id) for e in actions] == [
        ("user.deactivate", alice.principal.id),
        ("user.activate", alice.principal.id),
    ]


def test_only_people_are_deactivated(alice, robot):
    for unknown in (robot.principal.id, robot.key.pk):
        with pytest.raises(NotFound):
            deactivate_person(principal_id=unknown, actor=OPERATOR)
    assert robot.api.get("/v1/agents/me").status_code == 200
    with pytest.raises(CommandError, match="no such person"):
        call_command("deactivate_user", "nobody@example.com")


def test_without_its_event_nothing_ends(alice, page, unwritable_log):
    token = sign_in_to_api()["access_token"]
    with unwritable_log():
        for act in (end_tokens, deactivate_person):
            with pytest.raises(Exception, match="not writable"):
                act(principal_id=alice.principal.id, actor=OPERATOR)
    assert not is_out(page)
    assert works(token)


def test_where_web_sessions_cannot_be_ended_nothing_is(alice, settings):
    token = sign_in_to_api()["access_token"]
    settings.SECRETS_APP = settings.SECRETS_APP | {"END_WEB_SESSIONS": "builtins.reversed"}
    with pytest.raises(TypeError):
        end_tokens(principal_id=alice.principal.id, actor=OPERATOR)
    assert works(token)
    settings.SECRETS_APP = settings.SECRETS_APP | {"END_WEB_SESSIONS": ""}
    end_tokens(principal_id=alice.principal.id, actor=OPERATOR)
    assert not works(token)


def test_a_stranger_has_no_page(db):
    assert is_out(browser())


@pytest.mark.parametrize("by", ["password", "end all"])
def test_what_ends_sessions_ends_a_sign_in_that_waits_for_its_code(alice, by):
    """Who has the old password and a code comes too late: over the API it is the same."""
    with time_machine.travel(timezone.now() - timedelta(hours=1), tick=False):
        app = set_up()
    half, answer = sign_in("alice@example.com")
    assert answer.headers["Location"] == SECOND_STEP
    if by == "password":
        tokens = verify(asked(), app.recovery_codes[0]).json()
        sent = {"current_password": PASSWORD, "new_password": "another-horse-77"}
        changed = Api(tokens["access_token"]).post("/v1/auth/change-password", sent)
        assert changed.status_code == 200
    else:
        end_tokens(principal_id=alice.principal.id, actor=OPERATOR)
    assert half.post(SECOND_STEP, {"code": app.recovery_codes[1]}).status_code == 403
    assert is_out(half)
    assert half.post(SECOND_STEP, {"code": app.recovery_codes[2]}).status_code == 302
    assert is_out(half)

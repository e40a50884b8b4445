"""Web sessions: listed, ended, and over when the person is."""

from datetime import timedelta

import pytest
import time_machine
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.utils import timezone

from secrets_app.models import AuditEvent, SignInSession
from tests.accounts.sign_in import LOGIN, SECOND_STEP, browser, code_of, set_up_app, sign_in
from tests.api.test_devices import poll
from tests.cast import PASSWORD, Api
from tests.every_action import operator_client
from tests.factors import signed_in
from vaultsite.accounts.models import User
from vaultsite.accounts.web_sessions import end_web_sessions

PAGE, LIST = "/accounts/sessions/", "/admin/usersessions/usersession/"


@pytest.fixture
def root(db):
    return User.objects.create_superuser("root@example.com", PASSWORD)


def is_inside(client):
    return client.get("/admin/").status_code == 200


def key_of(client):
    return client.cookies["sessionid"].value


def test_a_person_sees_their_own_and_ends_one(root):
    User.objects.create_user("dora@example.com", PASSWORD)
    sign_in("dora@example.com", client=browser(HTTP_USER_AGENT="Lynx"))
    lost, _ = sign_in(client=browser(HTTP_USER_AGENT="Opera", REMOTE_ADDR="192.0.2.3"))
    kept, _ = sign_in(client=browser(HTTP_USER_AGENT="Firefox"))
    page = kept.get(PAGE).content.decode()
    assert "Opera" in page
    assert "192.0.2.3" in page
    assert "Lynx" not in page
    assert key_of(lost) not in page
    kept.post(PAGE, {"id": UserSession.objects.get(user_agent="Opera").pk})
    assert (is_inside(lost), is_inside(kept)) == (False, True)
    event = AuditEvent.objects.get(action="auth.session_end")
    assert (event.actor_id, event.resource_id) == (root.principal.pk,) * 2
    kept.post(PAGE, {"id": UserSession.objects.get(user_agent="Lynx").pk})
    kept.post(PAGE, {"id": "9" * 40})
    assert UserSession.objects.filter(user_agent="Lynx").exists()


def test_all_others_are_ended(root):
    others = [sign_in()[0] for _ in range(2)]
    kept, _ = sign_in()
    kept.post(PAGE)
    assert [is_inside(each) for each in (*others, kept)] == [False, False, True]


def test_sessions_of_the_api_are_listed_and_ended_beside_them(root):
    devices = []
    client, _ = sign_in()
    for name in ("bao on laptop", "bao on build-7"):
        codes = Api().post("/v1/auth/device/code", {"client_id": name}).json()
        client.post("/device", {"user_code": codes["user_code"], "step": "approve"})
        devices.append(Api(poll(codes["device_code"]).json()["access_token"]))
    page = client.get(PAGE).content.decode()
    assert "“bao on laptop”" in page
    assert "“bao on build-7”" in page
    User.objects.create_user("charlie@example.com", PASSWORD)
    stranger = signed_in("charlie")
    row = SignInSession.objects.get(client="bao on build-7")
    client.post(PAGE, {"api": row.pk})
    assert [each.get("/v1/auth/me").status_code for each in devices] == [200, 401]
    event = AuditEvent.objects.get(action="auth.session_end")
    assert (event.actor_id, event.resource_id) == (root.principal.pk, row.pk)
    assert is_inside(client)
    theirs = SignInSession.objects.get(method="password")
    client.post(PAGE, {"api": theirs.pk})
    client.post(PAGE, {"api": "none"})
    assert [each.get("/v1/auth/me").status_code for each in (*devices, stranger)] == [200, 401, 200]
    client.post(PAGE)
    assert [each.get("/v1/auth/me").status_code for each in (*devices, stranger)] == [401, 401, 200]
    assert is_inside(client)


def test_an_operator_sees_and_ends_them(root):
    client, _ = sign_in(client=browser(HTTP_USER_AGENT="Opera"))
    operator = operator_client()
    page = operator.get(LIST).content.decode()
    assert "Opera" in page
    row = UserSession.objects.get(user_agent="Opera")
    page += operator.get(f"{LIST}{row.pk}/change/").content.decode()
    assert key_of(client) not in page
    sent = {"action": "end", "_selected_action": row.pk, "confirmed": "yes"}
    operator.post(LIST, sent)
    assert not is_inside(client)
    assert not Session.objects.filter(session_key=row.session_key).exists()
    event = AuditEvent.objects.get(action="auth.session_end")
    assert (event.actor_type, event.resource_id) == ("user", root.principal.pk)


def test_a_session_ends_with_its_event_or_not_at_all(root, unwritable_log):
    other, _ = sign_in()
    client, _ = sign_in()
    with unwritable_log():
        assert client.post(PAGE).status_code == 500
    assert is_inside(other)


def test_who_is_deactivated_is_out_with_the_next_request(root):
    client, _ = sign_in()
    assert is_inside(client)
    User.objects.filter(pk=root.pk).update(is_active=False)
    assert client.get("/admin/").status_code == 302
    assert client.get("/accounts/").headers["Location"].startswith(LOGIN)
    User.objects.filter(pk=root.pk).update(is_active=True)
    end_web_sessions(root)
    assert not is_inside(client)


def test_all_of_a_person_end_also_those_nobody_has_listed(root):
    unlisted = browser()
    unlisted.force_login(root)
    listed, _ = sign_in()
    UserSession.objects.filter(session_key=key_of(unlisted)).delete()
    end_web_sessions(root)
    assert not is_inside(unlisted)
    assert not is_inside(listed)
    assert not UserSession.objects.exists()
    assert is_inside(sign_in()[0])


def test_sessions_of_the_release_before_go_on(root):
    """Their digest is that of the password alone."""
    from django.contrib.auth.base_user import AbstractBaseUser

    assert root.get_session_auth_hash() == AbstractBaseUser.get_session_auth_hash(root)


def test_a_new_password_ends_the_others_and_keeps_this_one_in_the_list(root):
    other, _ = sign_in()
    client, _ = sign_in()
    new = PASSWORD + " again"
    sent = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert client.post("/accounts/password/", sent).status_code == 302
    assert (is_inside(other), is_inside(client)) == (False, True)
    assert "(this one)" in client.get(PAGE).content.decode()


def test_when_it_was_last_seen_is_noted_once_a_minute(root):
    start = timezone.now()
    client, _ = sign_in()
    for seconds, seen in ((30, 0), (70, 70), (100, 70)):
        with time_machine.travel(start + timedelta(seconds=seconds), tick=False):
            client.get("/accounts/")
        noted = UserSession.objects.get().last_seen_at - start
        assert round(noted.total_seconds()) == seen


def test_the_key_changes_at_each_step(root):
    """A key that somebody has put into a browser is never that of a session which is signed in."""
    client, _ = sign_in()
    secret = set_up_app(client)
    victim = browser()
    victim.get("/accounts/2fa/passkeys/login/")  # an anonymous session, whose key others know
    keys = [key_of(victim)]
    sign_in(client=victim)
    keys.append(key_of(victim))
    later = timezone.now() + timedelta(minutes=2)
    with time_machine.travel(later, tick=False):
        victim.post(SECOND_STEP, {"code": code_of(secret)})
        keys.append(key_of(victim))
        assert is_inside(victim)
    assert len(set(keys)) == 3
    for key in keys[:2]:
        fixed = browser()
        fixed.cookies["sessionid"] = key
        assert not is_inside(fixed)
        assert fixed.get(SECOND_STEP).status_code == 302

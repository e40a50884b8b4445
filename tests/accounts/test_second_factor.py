"""Signing in with an authenticator app: set up, asked for, locked, taken away."""

from datetime import timedelta

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.core.management import CommandError
from django.db import connection
from django.utils import timezone

from secrets_app.keys import keyring
from secrets_app.models import AuditEvent, AuditKey
from secrets_app.services.sealing.audit_keys import forget_audit_key
from tests.accounts.sign_in import (
    AGAIN,
    APP,
    CODES,
    FACTORS,
    LOGIN,
    SECOND_STEP,
    browser,
    code_of,
    set_up_app,
    shown_codes,
    shown_secret,
    sign_in,
)
from tests.cast import PASSWORD, Api
from tests.every_action import run
from tests.factors import asked, verify
from vaultsite.accounts.models import User


@pytest.fixture
def root(db):
    return User.objects.create_superuser("root@example.com", PASSWORD)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(timezone.now().replace(second=5), tick=False) as now:
        yield now


@pytest.fixture
def secret(root):
    """Set up already, a while ago."""
    with time_machine.travel(timezone.now() - timedelta(hours=1), tick=False):
        client, _ = sign_in()
        found = set_up_app(client)
        shown_codes(client)
    AuditEvent.objects.all().delete()
    return found


def reasons():
    return [e.details.get("reason") for e in AuditEvent.objects.order_by("id")]


def removal():
    return f"{FACTORS}{Authenticator.objects.get(type='totp').pk}/remove/"


def test_it_is_set_up_by_a_code_and_the_secret_is_never_shown_again(root, clock):
    client, _ = sign_in()
    text = shown_secret(client)
    assert shown_secret(client) == text
    assert client.post(APP, {"code": "00000"}).status_code == 200
    clock.shift(1)
    assert client.post(APP, {"code": code_of(text)}).headers["Location"] == CODES
    assert client.get(APP).headers["Location"] == FACTORS
    page = client.get(FACTORS).content.decode()
    assert text not in page
    assert "<code>" in page  # the name of the command for who has lost it
    assert client.get("/admin/").status_code == 200
    events = AuditEvent.objects.filter(action="auth.second_factor_add").order_by("id")
    assert [(e.outcome, e.actor_id) for e in events] == [
        ("failure", root.principal.pk),
        ("success", root.principal.pk),
    ]
    assert text not in str(list(events.values()))


def test_the_database_holds_no_secret_not_even_while_it_is_set_up(root):
    client, _ = sign_in()
    text = shown_secret(client)
    assert text not in everything_stored(client)
    assert client.post(APP, {"code": code_of(text)}).status_code == 302
    codes = shown_codes(client)
    stored = everything_stored(client)
    assert not [each for each in (text, *codes) if each in stored]


def everything_stored(client):
    with connection.cursor() as cursor:
        found = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            found += [str(bytes(v) if isinstance(v, memoryview) else v) for r in cursor for v in r]
    return "\n".join(found) + str(dict(client.session.items()))


def test_the_right_code_lets_in(root, secret):
    client, answer = sign_in(code=code_of(secret))
    assert answer.headers["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200
    event = AuditEvent.objects.get()
    assert (event.action, event.details) == ("auth.success", {"method": "session_totp"})
    assert event.request_id is not None


@pytest.mark.parametrize("wrong", ["12345", "1234567", "abcdef", "١٢٣٤٥٦", "another", "9" * 32])
def test_a_wrong_code_is_refused(root, secret, wrong):
    sent = f"{(int(code_of(secret)) + 1) % 1_000_000:06}" if wrong == "another" else wrong
    client, answer = sign_in(code=sent)
    assert answer.status_code == 200
    assert "This is not a code of now" in answer.content.decode()
    assert client.get("/admin/").status_code == 302
    assert reasons() == ["bad_code"]


@pytest.mark.parametrize("none", ["", "9" * 33, "9" * 100_000])
def test_what_cannot_be_a_code_is_no_attempt(root, secret, none):
    client, answer = sign_in(code=none)
    assert answer.status_code == 200
    assert client.get("/admin/").status_code == 302
    assert reasons() == []


@pytest.mark.parametrize(("wait_s", "way_on"), [(299, "/admin/"), (301, LOGIN)])
def test_a_code_is_taken_for_five_minutes_after_the_password(root, secret, clock, wait_s, way_on):
    client, _ = sign_in()
    clock.shift(wait_s)
    answer = client.post(SECOND_STEP, {"code": code_of(secret)})
    assert (answer.status_code, answer.headers["Location"]) == (302, way_on)
    assert ("_auth_user_id" in client.session) is (way_on != LOGIN)


def test_a_code_is_taken_once(root, secret, clock):
    sent = code_of(secret)
    assert sign_in(code=sent)[1].status_code == 302
    clock.shift(2)
    assert sign_in(code=sent)[1].status_code == 200
    assert reasons()[-1] == "bad_code"


def test_the_code_of_the_set_up_does_not_sign_in(root, clock):
    client, _ = sign_in()
    secret = set_up_app(client)
    assert sign_in(code=code_of(secret))[1].status_code == 200


def test_after_a_wrong_code_none_is_taken_for_a_while_from_anywhere(root, secret, clock):
    sign_in(code="000000")
    elsewhere = browser(REMOTE_ADDR="198.51.100.9")
    assert sign_in(code=code_of(secret), client=elsewhere)[1].status_code == 200
    clock.shift(10)
    assert sign_in(code=code_of(secret))[1].status_code == 302


def test_the_wait_doubles_up_to_an_hour(root, secret, clock, settings):
    settings.AXES_FAILURE_LIMIT = 1000
    for failures in range(1, 16):
        clock.shift(3601)
        sign_in(code="000000")
        wait = min(2 ** (failures - 1), 3600)
        clock.shift(wait - 1)
        if wait > 2:
            assert sign_in(code=code_of(secret))[1].status_code == 200
    clock.shift(1)
    assert sign_in(code=code_of(secret))[1].status_code == 302


def test_wrong_codes_lock_out_as_wrong_passwords_do(root, secret, settings, clock):
    settings.AXES_FAILURE_LIMIT = 3
    client, answer = sign_in(code="000000")
    for _ in range(2):
        clock.shift(30)
        answer = client.post(SECOND_STEP, {"code": "000000"})
    assert answer.status_code == 429
    clock.shift(60)
    assert client.post(SECOND_STEP, {"code": code_of(secret)}).status_code == 429
    assert sign_in()[1].status_code == 429
    assert reasons() == ["bad_code"] * 3 + ["locked_out"] * 2


def test_a_lockout_by_somebody_elsewhere_is_theirs(root, secret, settings, clock):
    settings.AXES_FAILURE_LIMIT = 2
    elsewhere = browser(REMOTE_ADDR="198.51.100.9")
    sign_in(code="000000", client=elsewhere)
    assert elsewhere.post(SECOND_STEP, {"code": "000000"}).status_code == 429
    clock.shift(30)
    assert sign_in(code=code_of(secret))[1].status_code == 302


def test_without_its_event_nobody_gets_in(root, secret, unwritable_log):
    sent = code_of(secret)
    client, _ = sign_in()
    with unwritable_log():
        answer = client.post(SECOND_STEP, {"code": sent})
    assert answer.status_code == 500
    assert client.get("/admin/").status_code == 302


def test_a_session_from_before_it_was_set_up_is_ended(root):
    early, _ = sign_in()
    assert early.get("/admin/").status_code == 200
    forced = browser()  # as one that the sign-in has not noted anything in
    client, _ = sign_in()
    set_up_app(client)
    assert UserSession.objects.count() == 1
    root.refresh_from_db()
    forced.force_login(root)
    for each in (early, forced):
        answer = each.get("/admin/secrets_app/secret/")
        assert answer.headers["Location"].startswith(("/admin/login/", LOGIN))
        assert "_auth_user_id" not in each.session
    assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize(
    ("rule", "root_must", "staff_must"),
    [("optional", False, False), ("superusers", True, False), ("everybody", True, True)],
)
def test_who_must_set_it_up_can_do_nothing_before(root, settings, rule, root_must, staff_must):
    settings.SECOND_FACTOR = rule
    staff = User.objects.create_user("staff@example.com", PASSWORD, is_staff=True)
    pages = ("/admin/", "/admin/secrets_app/", "/accounts/password/", "/accounts/sessions/")
    for user, must in ((root, root_must), (staff, staff_must)):
        client, _ = sign_in(user.email)
        for path in pages:
            assert (client.get(path).headers.get("Location") == FACTORS) is must
        assert client.get(FACTORS).status_code == 200
        assert client.get("/").status_code == 200
        set_up_app(client)
        assert [client.get(path).status_code for path in pages[:2]] == [
            200,
            200 if user is root else 404,
        ]
        assert client.post("/accounts/logout/").status_code == 302


def test_it_can_be_switched_off(root, secret, settings):
    settings.SECOND_FACTOR = "off"
    client, answer = sign_in()
    assert answer.headers["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200
    assert client.get(FACTORS).status_code == 404
    assert client.get(APP).status_code == 404


def test_it_is_removed_by_who_proves_it_with_a_code(root, secret, clock):
    client, _ = sign_in(code=code_of(secret))
    clock.shift(301)
    for answer in (client.get(removal()), client.post(removal())):
        assert answer.headers["Location"].startswith(AGAIN)
    # Not by a password: somebody who has only that and the session is not enough.
    answer = client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert answer.headers["Location"].startswith(AGAIN)
    assert client.post(AGAIN, {"code": "000000"}).status_code == 200
    assert client.post(removal()).headers["Location"].startswith(AGAIN)
    assert Authenticator.objects.exists()
    clock.shift(301)
    answer = client.post(f"{AGAIN}?next={removal()}", {"code": code_of(secret)})
    assert answer.headers["Location"] == removal()
    event = AuditEvent.objects.get(action="auth.reauthenticate")
    assert (event.actor_id, event.details) == (root.principal.pk, {"method": "session_totp"})
    assert client.post(removal()).headers["Location"] == FACTORS
    assert not Authenticator.objects.exists()
    assert not AuditEvent.objects.filter(action="auth.second_factor_add").exists()
    event = AuditEvent.objects.get(action="auth.second_factor_remove")
    assert (event.outcome, event.actor_id) == ("success", root.principal.pk)
    assert sign_in()[1].headers["Location"] == "/admin/"


def test_the_last_one_stays_where_one_is_needed(root, secret, settings):
    settings.SECOND_FACTOR = "superusers"
    client, _ = sign_in(code=code_of(secret))
    assert "You need a second factor here" in client.post(removal()).content.decode()
    assert Authenticator.objects.filter(type="totp").exists()


def test_nobody_changes_it_with_a_session_alone(root, clock):
    client, _ = sign_in()
    clock.shift(301)
    answer = client.get(APP)
    assert answer.headers["Location"] == f"/accounts/reauthenticate/?next={APP.replace('/', '%2F')}"
    assert client.post("/accounts/reauthenticate/", {"password": "wrong"}).status_code == 200
    assert client.get(APP).status_code == 302
    assert reasons()[-1] == "bad_credentials"
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert client.get(APP).status_code == 200


def test_without_its_event_nobody_has_proved_anything(root, clock, unwritable_log):
    client, _ = sign_in()
    clock.shift(301)
    with unwritable_log():
        sent = {"password": PASSWORD}
        assert client.post("/accounts/reauthenticate/", sent).status_code == 500
    assert client.get(APP).status_code == 302


def test_without_its_event_nothing_is_set_up_or_removed(root, secret, unwritable_log, clock):
    client, _ = sign_in(code=code_of(secret))
    with unwritable_log():
        assert client.post(removal()).status_code == 500
        assert client.post(f"{CODES}new/").status_code == 500
    assert Authenticator.objects.count() == 2
    Authenticator.objects.all().delete()
    new = shown_secret(client)
    with unwritable_log():
        assert client.post(APP, {"code": code_of(new)}).status_code == 500
    assert not Authenticator.objects.exists()


def test_recovery_codes_are_shown_once_and_each_lets_in_once(root, clock):
    client, _ = sign_in()
    set_up_app(client)
    codes = shown_codes(client)
    assert len(set(codes)) == 10
    assert client.get(CODES).headers["Location"] == FACTORS
    clock.shift(60)
    inside, answer = sign_in(code=f" {codes[3][:5]}-{codes[3][5:]} ")
    assert answer.headers["Location"] == "/admin/"
    event = AuditEvent.objects.filter(action="auth.success").latest("id")
    assert event.details == {"method": "session_recovery_code"}
    assert "9 left" in inside.get(FACTORS).content.decode()
    assert sign_in(code=codes[3])[1].status_code == 200
    clock.shift(60)
    assert sign_in(code=codes[4])[1].status_code == 302


def test_new_recovery_codes_end_the_old_ones(root, clock):
    client, _ = sign_in()
    set_up_app(client)
    old = shown_codes(client)
    assert client.post(f"{CODES}new/").headers["Location"] == CODES
    assert client.head(CODES).status_code == 405  # they are shown once, and not to nobody
    new = shown_codes(client)
    assert len(new) == 10
    assert not set(old) & set(new)
    clock.shift(60)
    assert sign_in(code=old[0])[1].status_code == 200
    clock.shift(60)
    assert sign_in(code=new[0])[1].status_code == 302
    assert AuditEvent.objects.filter(action="auth.recovery_codes_renew").count() == 1


def test_new_recovery_codes_take_a_fresh_proof(root, secret, clock):
    client, _ = sign_in(code=code_of(secret))
    clock.shift(301)
    answer = client.post(f"{CODES}new/")
    assert answer.headers["Location"].startswith(AGAIN)
    answer = client.post(answer.headers["Location"], {"code": code_of(secret)}, follow=True)
    assert answer.redirect_chain[-1][0] == FACTORS
    assert not AuditEvent.objects.filter(action="auth.recovery_codes_renew").exists()
    assert client.post(f"{CODES}new/").headers["Location"] == CODES


def test_nobody_has_recovery_codes_alone(root):
    client, _ = sign_in()
    assert client.post(f"{CODES}new/").status_code == 403
    assert client.get(CODES).status_code == 302
    assert not Authenticator.objects.exists()


def test_who_has_lost_it_is_helped_by_an_operator(root, secret):
    lost, _ = sign_in(code=code_of(secret))
    terminal = verify(asked("root"), code_of(secret, steps=1)).json()
    AuditEvent.objects.all().delete()
    assert "root@example.com" in run("remove_second_factor", "root@example.com")
    assert lost.get("/admin/").status_code == 302
    assert Api(terminal["access_token"]).get("/v1/auth/me").status_code == 401
    again = {"refresh_token": terminal["refresh_token"]}
    assert Api().post("/v1/auth/refresh", again).status_code == 401
    event = AuditEvent.objects.get(action="auth.second_factor_remove")
    assert (event.action, event.actor_type) == ("auth.second_factor_remove", "operator")
    assert event.resource_id == root.principal.pk
    assert sign_in()[1].headers["Location"] == "/admin/"
    with pytest.raises(CommandError):
        run("remove_second_factor", "root@example.com")
    with pytest.raises(CommandError):
        run("remove_second_factor", "nobody@example.com")


@pytest.mark.parametrize("page", [FACTORS, APP, CODES, "/accounts/", "/accounts/sessions/"])
def test_strangers_do_not_see_the_pages(client, db, page):
    assert client.get(page).headers["Location"].startswith(LOGIN)


def test_it_survives_the_rotation_of_the_root_key(root, secret, settings, tmp_path):
    old = settings.SECRETS_APP["ROOT_KEY_URLS"]
    run("create_root_key", f"file:{tmp_path}/new.key")
    both = [f"file:{tmp_path}/new.key", *old]
    settings.SECRETS_APP = settings.SECRETS_APP | {"ROOT_KEY_URLS": both}
    run("rotate_root", "--all")
    settings.SECRETS_APP = settings.SECRETS_APP | {"ROOT_KEY_URLS": both[:1]}
    forget_audit_key()
    assert sign_in(code=code_of(secret))[1].status_code == 302


def test_the_admin_tells_what_somebody_has_and_no_secret(root, secret):
    client, _ = sign_in(code=code_of(secret))
    page = client.get(f"/admin/accounts/user/{root.pk}/change/").content.decode()
    assert "authenticator app since" in page
    assert "10 recovery codes left" in page
    for row in Authenticator.objects.all():
        assert not [each for each in row.data.values() if len(str(each)) > 2 and str(each) in page]
    for model in ("mfa/authenticator", "account/emailaddress", "socialaccount/socialtoken"):
        assert client.get(f"/admin/{model}/").status_code in (302, 404)


def test_a_code_is_right_after_there_is_a_newer_audit_key(root, secret):
    """The secret is sealed by the key of its time, which its row names."""
    ring = keyring()
    newer = ring.create_audit_key(2)
    AuditKey.objects.create(
        number=2,
        root_key_id=newer.root_key_id,
        wrapped=newer.blob,
        public_key=ring.open_audit_key(newer).public_key,
    )
    forget_audit_key()
    assert sign_in(code=code_of(secret))[1].status_code == 302

"""Signing in to the admin with a second factor: set up, asked for, locked, taken away."""

import re
from base64 import b32decode
from datetime import timedelta

import pytest
import time_machine
from django.core.management import CommandError
from django.test import Client
from django.utils import timezone

from secrets_app.models import AuditEvent
from tests.cast import PASSWORD
from tests.every_action import run
from vaultsite.accounts.models import SecondFactor, User, code_maker

LOGIN, PAGE = "/admin/login/", "/admin/second-factor/"


@pytest.fixture
def root(db):
    return User.objects.create_superuser("root@example.com", PASSWORD)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(timezone.now().replace(second=5), tick=False) as now:
        yield now


@pytest.fixture
def seed(root):
    """Set up already, a while ago."""
    client = Client()
    client.force_login(root)
    found = b32decode(shown_seed(client))
    with time_machine.travel(timezone.now() - timedelta(hours=1), tick=False):
        assert client.post(PAGE, {"code": code(found)}).status_code == 302
    AuditEvent.objects.all().delete()
    return found


def shown_seed(client):
    return re.search(r"<code>([A-Z2-7]{32})</code>", client.get(PAGE).content.decode()).group(1)


def code(seed):
    return f"{code_maker(seed).token():06}"


def sign_in(sent="", password=PASSWORD):
    client = Client(raise_request_exception=False)
    data = {"username": "root@example.com", "password": password, "code": sent}
    return client, client.post(LOGIN, data)


def reasons():
    return [e.details.get("reason") for e in AuditEvent.objects.order_by("id")]


def test_it_is_set_up_by_a_code_and_the_seed_is_never_shown_again(root, clock):
    client = Client()
    client.force_login(root)
    text = shown_seed(client)
    assert shown_seed(client) == text
    assert client.post(PAGE, {"code": "00000"}).status_code == 200
    clock.shift(1)
    assert client.post(PAGE, {"code": code(b32decode(text))}).status_code == 302
    page = client.get(PAGE).content.decode()
    assert text not in page
    assert "<code>" in page  # the name of the command for who has lost it
    assert client.get("/admin/").status_code == 200
    events = AuditEvent.objects.filter(action="auth.second_factor_add").order_by("id")
    assert [(e.outcome, e.actor_id) for e in events] == [
        ("failure", root.principal.pk),
        ("success", root.principal.pk),
    ]
    assert text not in str(list(events.values()))


def test_the_database_holds_no_seed(root, seed):
    factor = SecondFactor.objects.get()
    stored = repr([bytes(v) if isinstance(v, memoryview) else v for v in vars(factor).values()])
    assert seed not in bytes(factor.salt)
    assert seed.hex() not in stored
    assert code_maker(bytes(factor.salt)).token() != code_maker(seed).token()


def test_the_right_code_lets_in(root, seed):
    client, answer = sign_in(code(seed))
    assert answer.status_code == 302
    assert client.get("/admin/").status_code == 200
    event = AuditEvent.objects.get()
    assert (event.action, event.details) == ("auth.success", {"method": "session_totp"})
    assert event.request_id is not None


@pytest.mark.parametrize("wrong", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "another"])
def test_a_wrong_code_is_refused_like_a_wrong_password(root, seed, wrong):
    sent = f"{(int(code(seed)) + 1) % 1_000_000:06}" if wrong == "another" else wrong
    client, answer = sign_in(sent)
    _, other = sign_in("", password="wrong")
    told = "Address, password or code is wrong"
    assert told in answer.content.decode()
    assert told in other.content.decode()
    assert client.get("/admin/").status_code == 302
    if len(sent) <= 6:
        assert sorted(reasons()) == ["bad_code", "bad_credentials"]


def test_a_code_is_taken_once(root, seed, clock):
    sent = code(seed)
    assert sign_in(sent)[1].status_code == 302
    clock.shift(2)
    assert sign_in(sent)[1].status_code == 200
    assert reasons()[-1] == "bad_code"


def test_after_a_wrong_code_none_is_taken_for_a_while_from_anywhere(root, seed, clock):
    sign_in("00000")
    assert sign_in(code(seed))[1].status_code == 200
    clock.shift(10)
    assert sign_in(code(seed))[1].status_code == 302


def test_wrong_codes_lock_out_as_wrong_passwords_do(root, seed, settings, clock):
    settings.AXES_FAILURE_LIMIT = 3
    for _ in range(4):
        clock.shift(30)
        sign_in("00000")
    clock.shift(60)
    _, answer = sign_in(code(seed))
    assert answer.status_code == 429
    assert reasons()[-1] == "locked_out"


def test_without_its_event_nobody_gets_in(root, seed, unwritable_log):
    sent = code(seed)
    with unwritable_log():
        client, answer = sign_in(sent)
    assert answer.status_code == 500
    assert client.get("/admin/").status_code == 302


def test_a_session_from_before_it_was_set_up_is_ended(root):
    early = Client()
    early.force_login(root)
    assert early.get("/admin/").status_code == 200
    client = Client()
    client.force_login(root)
    client.post(PAGE, {"code": code(b32decode(shown_seed(client)))})
    answer = early.get("/admin/secrets_app/secret/")
    assert answer.headers["Location"] == LOGIN
    assert "_auth_user_id" not in early.session


@pytest.mark.parametrize(
    ("rule", "root_must", "staff_must"),
    [("optional", False, False), ("superusers", True, False), ("everybody", True, True)],
)
def test_who_must_set_it_up_can_do_nothing_before(root, settings, rule, root_must, staff_must):
    settings.ADMIN_OTP = rule
    staff = User.objects.create_user("staff@example.com", PASSWORD, is_staff=True)
    for user, must in ((root, root_must), (staff, staff_must)):
        client = Client()
        client.force_login(user)
        for path in ("/admin/", "/admin/secrets_app/", "/admin/password_change/"):
            answer = client.get(path)
            assert (answer.headers.get("Location") == PAGE) is must
        assert client.get(PAGE).status_code == 200
        assert client.post("/admin/logout/").status_code in (200, 302)


def test_it_can_be_switched_off(root, seed, settings):
    settings.ADMIN_OTP = "off"
    client, answer = sign_in()
    assert answer.status_code == 302
    assert client.get("/admin/").status_code == 200
    assert client.get(PAGE).status_code == 404
    assert "id_code" not in Client().get(LOGIN).content.decode()


def test_it_is_taken_away_by_a_code_only(root, seed):
    client, _ = sign_in(code(seed))
    assert client.post(PAGE, {"code": "00000"}).status_code == 200
    assert SecondFactor.objects.exists()
    later = timezone.now() + timedelta(minutes=5)
    with time_machine.travel(later, tick=False):
        assert client.post(PAGE, {"code": code(seed)}).status_code == 302
    assert not SecondFactor.objects.exists()
    events = AuditEvent.objects.filter(action="auth.second_factor_remove").order_by("id")
    assert [event.outcome for event in events] == ["failure", "success"]


def test_who_has_lost_it_is_helped_by_an_operator(root, seed):
    assert "root@example.com" in run("remove_second_factor", "root@example.com")
    event = AuditEvent.objects.get()
    assert (event.action, event.actor_type) == ("auth.second_factor_remove", "operator")
    assert event.resource_id == root.principal.pk
    assert sign_in()[1].status_code == 302
    with pytest.raises(CommandError):
        run("remove_second_factor", "root@example.com")
    with pytest.raises(CommandError):
        run("remove_second_factor", "nobody@example.com")


def test_strangers_do_not_see_the_page(client, db):
    assert client.get(PAGE).headers["Location"].startswith(LOGIN)
    client.force_login(User.objects.create_user("dora@example.com", PASSWORD))
    assert client.get(PAGE).headers["Location"].startswith(LOGIN)


def test_a_factor_survives_the_rotation_of_the_root_key(root, seed, settings, tmp_path):
    from secrets_app.services.sealing.audit_keys import forget_audit_key

    old = settings.SECRETS_APP["ROOT_KEY_URLS"]
    run("create_root_key", f"file:{tmp_path}/new.key")
    both = [f"file:{tmp_path}/new.key", *old]
    settings.SECRETS_APP = settings.SECRETS_APP | {"ROOT_KEY_URLS": both}
    run("rotate_root", "--all")
    settings.SECRETS_APP = settings.SECRETS_APP | {"ROOT_KEY_URLS": both[:1]}
    forget_audit_key()
    assert sign_in(code(seed))[1].status_code == 302


@pytest.mark.only_on("sqlite")
def test_nobody_finds_it_in_the_admin(root, seed):
    from django.contrib.admin.sites import site

    assert SecondFactor not in site._registry

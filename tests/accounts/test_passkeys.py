"""Passkeys: as the second factor, and as the whole of a sign-in. In Chromium: tests/browser/."""

import html
import json
import re
from datetime import timedelta

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.utils import timezone

from secrets_app.models import AuditEvent
from tests.accounts.sign_in import CODES, FACTORS, SECOND_STEP, browser, shown_codes, sign_in
from tests.authenticator import USER_PRESENT
from tests.authenticator import Authenticator as Device
from tests.cast import PASSWORD
from vaultsite.accounts.models import User

ADD, PASSWORDLESS = "/accounts/2fa/passkeys/add/", "/accounts/2fa/passkeys/login/"
AGAIN = "/accounts/2fa/passkeys/reauthenticate/"


@pytest.fixture
def root(db):
    return User.objects.create_superuser("root@example.com", PASSWORD)


@pytest.fixture
def passkey(root):
    """Root's, added a while ago."""
    made = Device()
    with time_machine.travel(timezone.now() - timedelta(hours=1), tick=False):
        client, _ = sign_in()
        assert add(client, made).headers["Location"] == CODES
    AuditEvent.objects.all().delete()
    return made


def options(client, page):
    found = re.search(r'data-options="([^"]+)"', client.get(page).content.decode())
    return json.loads(html.unescape(found[1]))


def add(client, passkey):
    return client.post(ADD, {"name": "Phone", "credential": passkey.create(options(client, ADD))})


def second_step(passkey, email="root@example.com"):
    client, answer = sign_in(email)
    assert answer.headers["Location"] == SECOND_STEP
    sent = {"credential": passkey.get(options(client, SECOND_STEP))}
    return client, client.post(SECOND_STEP, sent)


def passwordless(passkey, **more):
    client = browser()
    asked = json.loads(client.get(PASSWORDLESS).content)
    return client, client.post(PASSWORDLESS, {"credential": passkey.get(asked)} | more)


def last():
    event = AuditEvent.objects.latest("id")
    return event.action, event.details


def is_inside(client):
    return client.get("/admin/").status_code == 200


def test_it_is_added_with_its_event_and_recovery_codes(root):
    client, _ = sign_in()
    assert add(client, Device()).headers["Location"] == CODES
    assert len(shown_codes(client)) == 10
    assert "Phone" in client.get(FACTORS).content.decode()
    assert last() == ("auth.second_factor_add", {"factor": "webauthn"})
    page = client.get(f"/admin/accounts/user/{root.pk}/change/").content.decode()
    assert "passkey “Phone” since" in page


def test_it_takes_the_place_of_the_code(passkey):
    client, answer = second_step(passkey)
    assert answer.headers["Location"] == "/admin/"
    assert is_inside(client)
    assert last() == ("auth.success", {"method": "session_webauthn"})


def test_it_takes_the_place_of_password_and_code(passkey):
    client, answer = passwordless(passkey, next="/accounts/sessions/")
    assert answer.headers["Location"] == "/accounts/sessions/"
    assert is_inside(client)
    assert last() == ("auth.success", {"method": "session_webauthn"})


def test_alone_it_must_verify_its_holder(passkey):
    passkey.flags = USER_PRESENT
    assert second_step(passkey)[1].status_code == 302
    client, answer = passwordless(passkey)
    assert answer.status_code == 200
    assert not is_inside(client)
    assert last()[1] == {"method": "session_webauthn", "reason": "bad_passkey"}


def test_the_challenge_of_a_second_step_does_not_sign_in_alone(passkey):
    passkey.flags = USER_PRESENT
    client, _ = sign_in()
    sent = {"credential": passkey.get(options(client, SECOND_STEP))}
    assert client.post(PASSWORDLESS, sent).status_code == 302  # back to the second step
    other, _ = sign_in()
    other.cookies.clear()
    other.cookies.update(client.cookies)
    assert not is_inside(other)


@pytest.mark.parametrize(
    "wrong",
    [
        {"origin": "http://testserver.example"},
        {"origin": "http://sub.testserver"},
        {"origin": "https://testserver"},
        {"origin": "http://testserver:8080"},
        {"rp_id": "elsewhere.example"},
        {"credential_id": b"of somebody else"},
        {"key": Device().key},
    ],
)
@pytest.mark.parametrize("way", [second_step, passwordless])
def test_what_is_not_this_passkey_on_this_page_is_refused(passkey, wrong, way):
    for name, value in wrong.items():
        setattr(passkey, name, value)
    client, answer = way(passkey)
    assert answer.status_code == 200
    assert "This passkey was not accepted" in answer.content.decode()
    assert not is_inside(client)
    assert last()[1] == {"method": "session_webauthn", "reason": "bad_passkey"}


@pytest.mark.parametrize("wrong", [{"origin": "https://elsewhere.example"}, {"rp_id": "x.example"}])
def test_none_is_added_from_elsewhere(root, wrong):
    client, _ = sign_in()
    assert add(client, Device(**wrong)).status_code == 200
    assert not Authenticator.objects.exists()
    assert last() == ("auth.second_factor_add", {"reason": "bad_passkey"})


def test_that_of_another_person_is_refused(passkey):
    dora = User.objects.create_user("dora@example.com", PASSWORD)
    client, _ = sign_in(dora.email)
    hers = Device(credential_id=b"dora's passkey...")
    add(client, hers)
    assert second_step(hers)[1].status_code == 200
    hers.handle = passkey.handle  # claims to be root's
    client, answer = passwordless(hers)
    assert answer.status_code == 200
    assert not is_inside(client)
    # Nor can one that is known be added to another account.
    client, _ = second_step(Device(**vars(hers)), dora.email)
    stolen = Device(**vars(passkey))
    assert "is known already" in add(client, stolen).content.decode()


def test_a_challenge_is_answered_once(passkey):
    client, _ = sign_in()
    sent = {"credential": passkey.get(options(client, SECOND_STEP))}
    wrong = json.loads(sent["credential"])
    wrong["response"]["signature"] = "AAAA"
    assert client.post(SECOND_STEP, {"credential": json.dumps(wrong)}).status_code == 200
    assert client.post(SECOND_STEP, sent).status_code == 200
    alone = browser()
    sent = {"credential": passkey.get(json.loads(alone.get(PASSWORDLESS).content))}
    assert alone.post(PASSWORDLESS, {"credential": json.dumps(wrong)}).status_code == 200
    assert alone.post(PASSWORDLESS, sent).status_code == 200
    assert not is_inside(alone)
    other, _ = sign_in()
    other.get(SECOND_STEP)
    assert other.post(SECOND_STEP, sent).status_code == 200
    assert not is_inside(client)
    assert not is_inside(other)


def test_a_challenge_is_answered_in_time(passkey):
    with time_machine.travel(timezone.now() - timedelta(seconds=601), tick=False):
        early = browser()
        asked = json.loads(early.get(PASSWORDLESS).content)
    assert early.post(PASSWORDLESS, {"credential": passkey.get(asked)}).status_code == 200
    assert last()[1]["reason"] == "no_challenge"


def test_a_counter_that_does_not_go_up_is_a_copy(passkey):
    for counter, is_taken in ((5, True), (5, False), (4, False), (0, False), (6, True)):
        passkey.counter = counter
        client, _ = second_step(passkey)
        assert is_inside(client) is is_taken
        if not is_taken:
            assert last()[1]["reason"] == "copied_passkey"


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "{",
        "null",
        "[]",
        '{"id": 1}',
        "[" * 30_000,
        '{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"AA",'
        '"authenticatorData":"AA","signature":"AA"}}',
        '{"a":"' + "x" * 40_000 + '"}',
    ],
)
def test_nonsense_is_refused_kindly(passkey, sent):
    client, _ = sign_in()
    options(client, SECOND_STEP)
    assert client.post(SECOND_STEP, {"credential": sent}).status_code == 200
    stranger = browser()
    stranger.get(PASSWORDLESS)
    assert stranger.post(PASSWORDLESS, {"credential": sent}).status_code == 200
    inside, _ = second_step(passkey)
    options(inside, ADD)
    assert inside.post(ADD, {"name": "x" * 64, "credential": sent}).status_code == 200
    assert Authenticator.objects.filter(type="webauthn").count() == 1


def test_it_proves_again_who_somebody_is(passkey):
    client, _ = second_step(passkey)
    with time_machine.travel(timezone.now() + timedelta(seconds=301), tick=False):
        assert client.get(ADD).status_code == 302
        sent = {"credential": passkey.get(options(client, AGAIN))}
        answer = client.post(f"{AGAIN}?next={ADD}", sent)
        assert answer.headers["Location"] == ADD
        assert client.get(ADD).status_code == 200


def test_of_two_one_goes_and_the_other_stays(passkey):
    client, _ = second_step(passkey)
    other = Device(credential_id=b"another passkey..")
    add(client, other)
    rows = Authenticator.objects.filter(type="webauthn").order_by("pk")
    client.post(f"{FACTORS}{rows[0].pk}/remove/")
    assert not is_inside(second_step(passkey)[0])
    assert is_inside(second_step(other)[0])


def test_nobody_removes_what_is_not_theirs(passkey):
    User.objects.create_user("dora@example.com", PASSWORD)
    client, _ = sign_in("dora@example.com")
    row = Authenticator.objects.get(type="webauthn")
    assert client.post(f"{FACTORS}{row.pk}/remove/").status_code == 404
    assert Authenticator.objects.filter(pk=row.pk).exists()


def test_who_is_not_active_any_more_stays_out(passkey, root):
    User.objects.filter(pk=root.pk).update(is_active=False)
    client, _ = passwordless(passkey)
    assert not is_inside(client)
    assert last()[1] == {"method": "session_webauthn", "reason": "inactive"}


def test_without_its_event_it_lets_nobody_in(passkey, unwritable_log):
    client, _ = sign_in()
    sent = {"credential": passkey.get(options(client, SECOND_STEP))}
    with unwritable_log():
        assert client.post(SECOND_STEP, sent).status_code == 500
    assert not is_inside(client)


def test_who_signs_in_by_it_stays_as_long_as_with_a_password(passkey, time_machine, settings):
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    client, _ = passwordless(passkey)
    time_machine.move_to(now + timedelta(seconds=settings.SESSION_COOKIE_AGE - 1), tick=False)
    assert is_inside(client)
    time_machine.move_to(now + timedelta(seconds=settings.SESSION_COOKIE_AGE + 1), tick=False)
    assert not is_inside(client)

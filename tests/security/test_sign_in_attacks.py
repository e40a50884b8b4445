"""Attacks on the sign-in of pages (issue 17, point 7): steps skipped, accounts found out, forms forged."""

import re

import pytest
from django.test import Client
from django.utils import timezone

from secrets_app.models import AuditEvent
from tests.accounts.sign_in import (
    APP,
    FACTORS,
    LOGIN,
    SECOND_STEP,
    browser,
    set_up_app,
    shown_secret,
    sign_in,
)
from tests.cast import PASSWORD
from vaultsite.accounts.models import User

PAGES = (
    "/admin/",
    "/admin/secrets_app/secret/",
    "/accounts/",
    "/accounts/password/",
    "/accounts/sessions/",
    FACTORS,
    APP,
    "/accounts/2fa/recovery-codes/",
    "/accounts/2fa/passkeys/add/",
    "/accounts/reauthenticate/",
    "/accounts/2fa/reauthenticate/",
)


@pytest.fixture
def root(db):
    user = User.objects.create_superuser("root@example.com", PASSWORD)
    set_up_app(sign_in()[0])
    return user


def test_a_password_alone_opens_no_page_and_no_route(root):
    client, answer = sign_in()
    assert answer.headers["Location"] == SECOND_STEP
    for page in PAGES:
        assert client.get(page).status_code in (302, 403), page
        assert client.post(page, {"code": "000000", "password": PASSWORD}).status_code in (302, 403)
        assert "_auth_user_id" not in client.session
    for route in ("/v1/auth/me", "/v1/vaults", "/vault/v1/sys/mounts"):
        assert client.get(route).status_code in (401, 403)


def test_the_second_step_is_nothing_without_the_first(root):
    client = browser()
    for sent in ({}, {"code": "123456"}, {"credential": "{}"}):
        assert client.post(SECOND_STEP, sent).headers["Location"] == LOGIN


def test_the_first_step_lasts_five_minutes(root, time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    client, _ = sign_in()
    time_machine.shift(301)
    assert client.get(SECOND_STEP).headers["Location"] == LOGIN


def test_the_first_step_is_nothing_when_the_person_is_not_active_any_more(root, monkeypatch):
    client, _ = sign_in()
    User.objects.filter(pk=root.pk).update(is_active=False)
    monkeypatch.setattr("vaultsite.accounts.forms.check_code", lambda **_: "totp")
    assert client.post(SECOND_STEP, {"code": "123456"}).status_code == 403
    assert client.get("/admin/").status_code == 302


def without_noise(answer):
    """What stands on a page, but for what differs on any two."""
    text = answer.content.decode()
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"|value="[^"]*@example.com"', "", text)


def test_nobody_finds_out_who_has_an_account(root):
    User.objects.create_user("gone@example.com", PASSWORD, is_active=False)
    answers = [
        sign_in(email, "wrong")[1]
        for email in ("root@example.com", "nobody@example.com", "gone@example.com")
    ]
    answers.append(sign_in("gone@example.com", PASSWORD)[1])
    assert {each.status_code for each in answers} == {200}
    assert len({without_noise(each) for each in answers}) == 1


def test_a_forged_form_signs_nobody_in_or_out(root):
    """Somebody whose browser is signed in as the attacker stores secrets for the attacker."""
    client = Client(enforce_csrf_checks=True)
    for page in (LOGIN, SECOND_STEP, "/accounts/logout/", "/accounts/2fa/passkeys/login/"):
        assert (
            client.post(page, {"login": "root@example.com", "password": PASSWORD}).status_code
            == 403
        )
    assert not AuditEvent.objects.filter(action="auth.success").exclude(
        details={"method": "session"}
    )
    elsewhere = {"HTTP_ORIGIN": "https://elsewhere.example"}
    token = client.get(LOGIN).cookies["csrftoken"].value
    sent = {"login": "root@example.com", "password": PASSWORD, "csrfmiddlewaretoken": token}
    assert client.post(LOGIN, sent, **elsewhere).status_code == 403
    assert client.post(LOGIN, sent).status_code == 302


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("login", "a" * 100_000 + "@example.com"),
        ("login", "\x00@example.com"),
        ("login", "ro\u202eot@example.com"),
        ("login", "root@example.com\r\nx"),
        ("password", "p" * 1_000_000),
        ("password", "\x00" * 10),
        ("next", "/" * 100_000),
    ],
)
def test_enormous_and_strange_fields_are_no_failure_of_ours(root, field, text):
    sent = {"login": "root@example.com", "password": "wrong", field: text}
    assert browser().post(LOGIN, sent).status_code in (200, 400)


def test_a_password_beyond_measure_is_not_even_hashed(root, monkeypatch):
    other = User.objects.create_superuser("other@example.com", PASSWORD)
    client, _ = sign_in(other.email)
    monkeypatch.setattr("vaultsite.accounts.adapter.check_password", None)
    assert sign_in(password="p" * 4097)[1].status_code == 200
    again = client.post("/accounts/reauthenticate/", {"password": "p" * 4097})
    assert again.status_code == 200


def test_pages_are_kept_by_nobody_and_framed_by_nobody(root):
    client, _ = sign_in()
    for page in (LOGIN, SECOND_STEP):
        answer = client.get(page)
        assert "no-store" in answer["Cache-Control"]
        assert answer["X-Frame-Options"] == "DENY"
        assert answer["Referrer-Policy"] == "same-origin"
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    session = client.cookies["sessionid"]
    assert (session["httponly"], session["samesite"]) == (True, "Strict")


def test_what_the_library_has_beside_is_not_there(root):
    for page in ("signup/", "email/", "password/reset/", "password/set/", "login/code/"):
        assert browser().get(f"/accounts/{page}").status_code == 404


def test_a_flood_of_wrong_codes_is_counted_and_refused(root, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"AUTH_FAILURE_RATE": "3/minute"}
    client, _ = sign_in()
    answers = [client.post(SECOND_STEP, {"code": "000000"}).status_code for _ in range(6)]
    assert answers == [200] * 3 + [429] * 3
    assert AuditEvent.objects.filter(action="auth.failure").count() == 3


def test_a_session_is_no_credential_of_the_api(root):
    dora = User.objects.create_user("dora@example.com", PASSWORD)
    client, _ = sign_in(dora.email)
    assert shown_secret(client)
    assert client.get("/v1/auth/me").status_code == 401

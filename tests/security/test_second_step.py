"""Attacks on the second factor of the API: guessing, racing, replaying, and walking around it."""

import logging
from collections import Counter
from datetime import timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.utils import timezone

from secrets_app.models import AuditEvent, SignInSession, SignInStep
from secrets_app.services.identity.factors import second_factors
from tests.api.test_concurrency import all_at_once
from tests.cast import PASSWORD, Api
from tests.factors import (
    App,
    asked,
    code_of,
    set_up,
    signed_in,
    verify,
    with_password,
    wrong_code_of,
)
from tests.spellings import found_in

MFA, SETUP, CONFIRM = "/v1/auth/mfa", "/v1/auth/mfa/setup", "/v1/auth/mfa/verify-setup"


@pytest.fixture
def clock():
    with time_machine.travel(timezone.now().replace(second=5), tick=False) as now:
        yield now


@pytest.fixture
def app(alice, clock) -> App:
    made = set_up()
    clock.shift(60)
    return made


def reasons():
    return Counter(
        event.details["reason"] for event in AuditEvent.objects.filter(action="auth.failure")
    )


def test_five_wrong_codes_void_the_token_and_the_right_one_comes_too_late(app, clock):
    """CVE-2026-27801, CVE-2026-56450"""
    token = asked()
    for _ in range(5):
        clock.shift(20)
        assert verify(token, wrong_code_of(app.secret)).status_code == 401
    clock.shift(60)
    assert verify(token, app.code()).status_code == 401
    assert reasons() == {"bad_code": 5, "unknown_token": 1}
    assert verify(asked(), app.code()).status_code == 200


def test_the_fifth_code_may_be_the_right_one(app, clock):
    token = asked()
    for _ in range(4):
        clock.shift(10)
        verify(token, wrong_code_of(app.secret))
    clock.shift(30)
    assert verify(token, app.code()).status_code == 200


def test_new_tokens_give_no_new_guesses(app, clock, settings):
    """CVE-2026-27801, CVE-2026-56450: who knows the password can have as many tokens as they like."""
    settings.AXES_FAILURE_LIMIT = 6
    for _ in range(6):
        clock.shift(30)
        verify(asked(), wrong_code_of(app.secret))
    clock.shift(60)
    assert with_password().status_code == 429
    assert reasons()["locked_out"] == 1


def test_a_token_from_before_the_lockout_is_locked_out_too(app, clock, settings):
    settings.AXES_FAILURE_LIMIT = 3
    token = asked()
    for _ in range(3):
        clock.shift(10)
        verify(asked(), wrong_code_of(app.secret))
    clock.shift(60)
    assert verify(token, app.code()).status_code == 429


def test_changing_the_password_resets_no_count_of_wrong_codes(app, clock, settings, alice):
    """A key and the password would else buy guesses without end."""
    settings.AXES_FAILURE_LIMIT = 4
    password = PASSWORD
    for n in range(4):
        clock.shift(30)
        token = with_password(password=password).json()["mfa_token"]
        verify(token, wrong_code_of(app.secret))
        sent = {"current_password": password, "new_password": f"{PASSWORD} {n}"}
        changed = Api(alice.raw_key).post("/v1/auth/change-password", sent)
        if n < 3:
            assert changed.status_code == 200
            password = sent["new_password"]
    clock.shift(60)
    assert with_password(password=password).status_code == 429


def test_strangers_lock_nobody_out(app, clock):
    """Without the password there is no token, and guesses at tokens count for nobody."""
    for n in range(30):
        assert verify(f"1mf_{n:043}", "123456").status_code == 401
    assert verify(asked(), app.code()).status_code == 200


def test_a_token_is_for_one_use(app, clock):
    token = asked()
    assert verify(token, app.code()).status_code == 200
    clock.shift(30)
    assert verify(token, app.code()).status_code == 401


def test_a_code_of_another_person_is_none(app, bob, clock):
    others = set_up("bob")
    clock.shift(60)
    assert verify(asked(), others.code()).status_code == 401
    assert verify(asked(), others.recovery_codes[0]).status_code == 401
    assert verify(asked("bob"), others.code()).status_code == 200


@pytest.mark.parametrize("what", ["password", "all tokens", "time", "person", "hash"])
def test_a_token_ends_with_what_it_began_with(app, alice, clock, what):
    token = asked()
    if what == "password":
        sent = {"current_password": PASSWORD, "new_password": PASSWORD + " anew"}
        assert Api(alice.raw_key).post("/v1/auth/change-password", sent).status_code == 200
    elif what == "all tokens":
        type(alice.principal).objects.filter(pk=alice.principal.pk).update(token_generation=9)
    elif what == "time":
        clock.shift(timedelta(seconds=301))
    elif what == "person":
        type(alice.user).objects.filter(pk=alice.user.pk).update(is_active=False)
    else:
        alice.user.set_password(PASSWORD + " by an operator")
        alice.user.save()
    assert verify(token, app.code()).status_code == 401
    assert not SignInSession.objects.filter(second_factor=True, method="password_totp").exists()


def test_a_tampered_token_is_none(app):
    token = asked()
    for other in (token[:-1], token + "A", token.swapcase(), token[::-1], " " + token, "1mf_"):
        assert verify(other, app.code()).status_code == 401
    assert SignInStep.objects.filter(pk=token).count() == 0, "it is stored as a digest"


@pytest.mark.parametrize(
    "spell",
    [
        lambda code: "".join(chr(0xFF10 + int(digit)) for digit in code),  # full-width digits
        lambda code: "".join(chr(0x0660 + int(digit)) for digit in code),  # Arabic-Indic digits
        lambda code: code + "\u200b",
        lambda code: "0" + code,
        lambda code: f"{code}.0",
        lambda code: f"+{code}",
        lambda code: hex(int(code)),
        lambda code: code[:5],
        lambda code: "",
    ],
)
def test_a_code_in_other_digits_is_none(app, spell):
    assert verify(asked(), spell(app.code())).status_code in (400, 401)


def test_a_code_of_long_ago_or_of_later_is_none(app, clock):
    for steps in (-2, 2, -2880):
        clock.shift(30)
        assert verify(asked(), app.code(steps)).status_code == 401


def test_page_and_api_take_a_code_once_together(app, alice, clock):
    user = alice.user
    assert second_factors().check_code(user=user, code=app.code(), request=_request()) == "totp"
    clock.shift(5)
    assert verify(asked(), app.code()).status_code == 401
    clock.shift(30)
    assert verify(asked(), app.code()).status_code == 200
    clock.shift(5)
    assert second_factors().check_code(user=user, code=app.code(), request=_request()) is None


def _request():
    from django.test import RequestFactory

    return RequestFactory().post("/accounts/2fa/authenticate/")


def test_other_doors_do_not_go_around_it(app, alice):
    answer = Api().request(
        "PUT", "/vault/v1/auth/userpass/login/alice@example.com", {"password": PASSWORD}
    )
    assert answer.status_code == 400
    (told,) = answer.json()["errors"]
    assert "second factor" in told
    assert "personal API key" in told
    wrong = Api().request(
        "PUT", "/vault/v1/auth/userpass/login/alice@example.com", {"password": "wrong"}
    )
    assert wrong.json()["errors"] == ["invalid username or password"]
    # With the password alone nothing that takes a token goes on.
    token = asked()
    for method, path, sent in (
        ("POST", "/v1/auth/refresh", {"refresh_token": token}),
        ("POST", "/v1/auth/api-key-token", {"api_key": token}),
        ("GET", "/v1/auth/me", None),
        ("POST", SETUP, None),
        ("DELETE", MFA, {"password": PASSWORD}),
        ("POST", "/v1/auth/change-password", {"current_password": PASSWORD, "new_password": "x"}),
    ):
        assert Api(token).request(method, path, sent).status_code in (400, 401), path
    assert with_password().json()["mfa_required"] is True


def test_setting_one_up_overwrites_none(app, clock):
    """Neither a second set-up nor one that was begun before the first was confirmed."""
    assert app.api.post(SETUP).status_code == 409
    assert app.api.post(CONFIRM, {"code": app.code()}).status_code == 400
    assert verify(asked(), app.code()).status_code == 200


def test_of_two_set_ups_at_once_one_is_kept(alice, clock):
    first, second = signed_in(), signed_in()
    first.post(SETUP)
    secret = second.post(SETUP).json()["secret"]
    assert second.post(CONFIRM, {"code": code_of(secret)}).status_code == 200
    assert first.post(CONFIRM, {"code": code_of(secret, steps=1)}).status_code == 401
    clock.shift(60)
    assert verify(asked(), code_of(secret)).status_code == 200


def test_what_is_being_set_up_is_no_factor(alice):
    api = signed_in()
    secret = api.post(SETUP).json()["secret"]
    assert "access_token" in with_password().json()
    assert api.delete(MFA, body={"code": code_of(secret)}).status_code == 409


def test_no_sink_holds_the_secret_the_codes_or_the_tokens(alice, clock, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    api = signed_in()
    pending = api.post(SETUP).json()["secret"]
    stored = repr(list(SignInStep.objects.values()))
    assert found_in(stored.encode(), pending) == []
    secret = api.post(SETUP).json()["secret"]
    codes = api.post(CONFIRM, {"code": code_of(secret)}).json()["recovery_codes"]
    clock.shift(60)
    token = asked()
    verify(token, wrong_code_of(secret))
    clock.shift(30)
    verify(token, codes[0])
    verify(token, codes[1])
    out = tmp_path / "dump.json"
    call_command("dumpdata", "--output", str(out), verbosity=0)
    sinks = {
        "log": caplog.text.encode() + b"".join(repr(vars(r)).encode() for r in caplog.records),
        "audit": repr(list(AuditEvent.objects.values())).encode(),
        "database": out.read_bytes(),
    }
    for name, text in {"pending": pending, "secret": secret, "token": token}.items():
        for sink, content in sinks.items():
            assert found_in(content, text) == [], f"{name} in {sink}"
    for code in codes:
        assert not any(code.encode() in content for content in sinks.values())


def test_no_object_shows_them(alice, clock):
    from secrets_app.services.identity import CodeAsked
    from secrets_app.services.identity.factors import NewApp
    from secrets_app.services.identity.passkeys import NewPasskey

    secret = "JBSWY3DP" + "EHPK3PXP"
    for shown in (
        NewApp(secret, f"otpauth://{secret}", secret),
        CodeAsked(secret),
        NewPasskey(None, [secret]),
    ):
        assert secret not in repr(shown)


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    """Sixteen clients, each with a connection of its own. The clock stands, so codes stay what they are."""

    CLIENTS = 16

    def test_no_more_than_five_codes_are_tried_for_a_token(self, app):
        token, wrong = asked(), wrong_code_of(app.secret)
        answers = all_at_once(lambda _: verify(token, wrong), self.CLIENTS)
        assert {each.status_code for each in answers} == {401}
        assert reasons() == {"bad_code": 5, "unknown_token": self.CLIENTS - 5}
        assert SignInStep.objects.get(principal__isnull=False, purpose="code").attempts == 5

    @pytest.mark.parametrize("kind", ["totp", "recovery"])
    def test_a_code_lets_one_in(self, app, kind):
        tokens = [asked() for _ in range(self.CLIENTS)]
        code = app.code() if kind == "totp" else app.recovery_codes[0]
        answers = all_at_once(lambda n: verify(tokens[n], code), self.CLIENTS)
        assert Counter(each.status_code for each in answers)[200] == 1
        method = "password_totp" if kind == "totp" else "password_recovery_codes"
        assert SignInSession.objects.filter(method=method).count() == 1

    def test_a_token_lets_one_in_whatever_the_codes(self, app):
        token = asked()
        answers = all_at_once(lambda n: verify(token, app.recovery_codes[n]), 5)
        assert Counter(each.status_code for each in answers) == {200: 1, 401: 4}
        assert SignInSession.objects.filter(method="password_recovery_codes").count() == 1

    def test_one_set_up_is_confirmed_once(self, alice, clock):
        api = signed_in()
        code = code_of(api.post(SETUP).json()["secret"])
        answers = all_at_once(lambda _: api_post(api.bearer, code), 5)
        assert Counter(each.status_code for each in answers)[200] == 1


def api_post(bearer: str, code: str):
    return Api(bearer).post(CONFIRM, {"code": code})


@pytest.mark.parametrize("way", ["refresh token", "access token"])
def test_a_session_without_the_factor_goes_on_to_nothing_once_there_is_one(app, settings, way):
    """One that began in the very moment of the set-up, or while factors were switched off."""
    settings.SECOND_FACTOR = "off"
    tokens = with_password().json()
    settings.SECOND_FACTOR = "optional"
    api = Api(tokens["access_token"])
    sent = {"refresh_token": tokens["refresh_token"]} if way == "refresh token" else {}
    assert api.post("/v1/auth/refresh", sent).status_code == 401


def test_an_operator_who_removes_the_factor_ends_what_its_finder_is_signed_in_by(app):
    stolen = verify(asked(), app.code()).json()
    call_command("remove_second_factor", "alice@example.com")
    assert Api(stolen["access_token"]).get("/v1/auth/me").status_code == 401
    again = Api().post("/v1/auth/refresh", {"refresh_token": stolen["refresh_token"]})
    assert again.status_code == 401

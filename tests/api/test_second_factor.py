"""The second factor over the API: asked for at the sign-in, set up, looked at and removed."""

from datetime import timedelta

import jwt
import pytest
import time_machine
from django.utils import timezone

from secrets_app.models import AuditEvent, SignInSession
from secrets_app.services.identity import issue_token
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

SETUP, CONFIRM, MFA = "/v1/auth/mfa/setup", "/v1/auth/mfa/verify-setup", "/v1/auth/mfa"


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(timezone.now().replace(second=5), tick=False) as now:
        yield now


@pytest.fixture
def app(alice, clock) -> App:
    made = set_up()
    clock.shift(60)
    return made


def works(token: str) -> bool:
    return Api(token).get("/v1/auth/me").status_code == 200


def is_enabled(api: Api) -> bool:
    return api.get("/v1/auth/mfa/status").json()["enabled"]


def events(action):
    found = AuditEvent.objects.filter(action=action).order_by("id")
    return [(each.outcome, each.details) for each in found]


def test_who_has_one_gets_no_token_for_the_password_alone(app):
    answer = with_password()
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    told = answer.json()
    assert set(told) == {"mfa_required", "mfa_token"}
    assert told["mfa_required"] is True
    assert Api(told["mfa_token"]).get("/v1/auth/me").status_code == 401
    assert events("auth.code_asked") == [("success", {"method": "password"})]


def test_the_code_gives_the_tokens_of_a_session_that_has_passed_it(app, alice):
    answer = verify(asked(), app.code())
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    told = answer.json()
    assert set(told) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert works(told["access_token"])
    claims = jwt.decode(told["access_token"], options={"verify_signature": False})
    session = SignInSession.objects.get(pk=claims["session"])
    assert (session.second_factor, session.method) == (True, "password_totp")
    refreshed = Api().post("/v1/auth/refresh", {"refresh_token": told["refresh_token"]})
    assert refreshed.status_code == 200
    assert ("success", {"method": "password_totp"}) in events("auth.success")


def test_a_recovery_code_does_as_well_and_once(app, clock):
    first = app.recovery_codes[0]
    assert verify(asked(), first).status_code == 200
    clock.shift(5)
    assert verify(asked(), first).status_code == 401
    clock.shift(5)
    grouped = f"{app.recovery_codes[1][:5]} {app.recovery_codes[1][5:]}"
    assert verify(asked(), grouped).status_code == 200
    assert ("success", {"method": "password_recovery_codes"}) in events("auth.success")


def test_every_refusal_is_the_same_401_and_the_reason_is_in_the_event(app, clock):
    used = asked()
    assert verify(used, app.code()).status_code == 200
    clock.shift(30)
    answers = [
        verify(used, app.code()),
        verify("1mf_unknown", app.code()),
        verify(asked(), wrong_code_of(app.secret)),
    ]
    assert {each.status_code for each in answers} == {401}
    assert len({str(each.json() | {"instance": ""}) for each in answers}) == 1
    # They have the same time, so their order means nothing.
    reasons = sorted(details["reason"] for _, details in events("auth.failure"))
    assert reasons == ["bad_code", "unknown_token", "unknown_token"]


def test_who_has_none_signs_in_as_before(alice):
    assert "access_token" in with_password().json()
    assert not is_enabled(signed_in())


def test_it_is_set_up_by_a_code_and_shown_once(alice):
    api = signed_in()
    answer = api.post(SETUP)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    told = answer.json()
    assert set(told) == {"otpauth_uri", "secret"}
    assert told["otpauth_uri"].startswith("otpauth://totp/alice%40example.com?")
    assert told["secret"] in told["otpauth_uri"]
    assert not is_enabled(api)
    confirmed = api.post(CONFIRM, {"code": code_of(told["secret"])})
    assert confirmed.status_code == 200
    assert confirmed["Cache-Control"] == "no-store"
    codes = confirmed.json()["recovery_codes"]
    assert len(set(codes)) == 10
    assert is_enabled(api)
    (event,) = events("auth.second_factor_add")
    assert event == ("success", {"factor": "totp"})
    assert api.post(CONFIRM, {"code": code_of(told["secret"], steps=1)}).status_code == 400


def test_a_second_set_up_replaces_the_first_until_one_is_confirmed(alice):
    api = signed_in()
    first, second = (api.post(SETUP).json()["secret"] for _ in range(2))
    assert first != second
    assert api.post(CONFIRM, {"code": code_of(first)}).status_code == 400
    assert api.post(CONFIRM, {"code": code_of(second)}).status_code == 200
    assert api.post(SETUP).status_code == 409


def test_a_set_up_ends_after_five_wrong_codes_and_after_a_quarter_of_an_hour(alice, clock):
    api = signed_in()
    secret = api.post(SETUP).json()["secret"]
    for _ in range(5):
        assert api.post(CONFIRM, {"code": wrong_code_of(secret)}).status_code == 400
    assert api.post(CONFIRM, {"code": code_of(secret)}).status_code == 400
    secret = api.post(SETUP).json()["secret"]
    clock.shift(timedelta(seconds=901))
    api = signed_in()
    assert api.post(CONFIRM, {"code": code_of(secret)}).status_code == 400
    assert not is_enabled(api)
    reasons = sorted(details["reason"] for _, details in events("auth.second_factor_add"))
    assert reasons == ["bad_code"] * 5 + ["nothing_begun"] * 2


def test_whoever_begins_a_set_up_anew_has_five_attempts_again(alice):
    api = signed_in()
    secret = api.post(SETUP).json()["secret"]
    for _ in range(5):
        assert api.post(CONFIRM, {"code": wrong_code_of(secret)}).status_code == 400
    secret = api.post(SETUP).json()["secret"]
    assert api.post(CONFIRM, {"code": code_of(secret)}).status_code == 200
    assert is_enabled(api)


def test_sessions_without_it_end_when_it_is_set_up_and_this_one_goes_on(alice):
    other = with_password().json()
    app = set_up()
    assert not works(other["access_token"])
    answer = Api().post("/v1/auth/refresh", {"refresh_token": other["refresh_token"]})
    assert answer.status_code == 401
    assert works(app.api.bearer)
    assert Api(alice.raw_key).get("/v1/auth/me").status_code == 200


def test_it_is_removed_by_a_code(app):
    api = Api(verify(asked(), app.code()).json()["access_token"])
    assert api.delete(MFA, body={"code": app.code(1)}).status_code == 204
    assert not is_enabled(api)
    assert "access_token" in with_password().json()
    assert events("auth.second_factor_remove") == [("success", {"factor": "totp"})]


def test_it_is_removed_by_the_password_in_a_session_that_has_passed_it(app, clock):
    api = Api(verify(asked(), app.code()).json()["access_token"])
    assert api.delete(MFA, body={"password": "wrong"}).status_code == 400
    assert is_enabled(api)
    assert api.delete(MFA, body={"password": PASSWORD}).status_code == 204
    assert not is_enabled(api)


def test_a_session_that_has_not_passed_it_needs_a_code(app):
    SignInSession.objects.update(second_factor=False)
    answer = app.api.delete(MFA, body={"password": PASSWORD})
    assert answer.status_code == 403
    assert "code" in answer.json()["detail"]
    assert app.api.delete(MFA, body={"code": app.code()}).status_code == 204


@pytest.mark.parametrize("sent", [{}, {"code": "123456", "password": "x"}, {"otp": "123456"}])
def test_removing_takes_a_code_or_the_password(app, sent):
    assert app.api.delete(MFA, body=sent).status_code == 400


def test_a_wrong_code_removes_nothing_and_is_counted(app, settings, clock):
    settings.AXES_FAILURE_LIMIT = 3
    for _ in range(3):
        clock.shift(10)
        app.api.delete(MFA, body={"code": wrong_code_of(app.secret)})
    clock.shift(60)
    assert app.api.delete(MFA, body={"code": app.code()}).status_code == 429
    assert is_enabled(app.api)


def test_who_must_have_one_cannot_remove_it(app, settings):
    settings.SECOND_FACTOR = "everybody"
    answer = app.api.delete(MFA, body={"code": app.code()})
    assert answer.status_code == 409
    assert is_enabled(app.api)


def test_nothing_is_removed_where_there_is_nothing(alice):
    assert signed_in().delete(MFA, body={"code": "123456"}).status_code == 409


def test_who_must_have_one_and_has_none_gets_no_token(alice, settings):
    settings.SECOND_FACTOR = "everybody"
    answer = with_password()
    assert answer.status_code == 403
    assert "set one up" in answer.json()["detail"]
    assert events("auth.failure") == [
        ("failure", {"method": "password", "reason": "factor_missing"})
    ]
    assert with_password(password="wrong").status_code == 401


def test_where_it_is_switched_off_nobody_is_asked(app, settings):
    settings.SECOND_FACTOR = "off"
    assert "access_token" in with_password().json()
    assert not is_enabled(app.api)


def test_without_a_project_that_keeps_factors_nobody_has_one(alice, settings):
    settings.SECRETS_APP = {
        name: value for name, value in settings.SECRETS_APP.items() if name != "SECOND_FACTORS"
    }
    api = signed_in()
    assert not is_enabled(api)
    answer = api.post(SETUP)
    assert answer.status_code == 409
    assert "no second factors" in answer.json()["detail"]
    assert api.post("/v1/auth/passkeys/register/begin").status_code == 409
    assert api.get("/v1/auth/passkeys").json() == {"passkeys": []}
    assert verify("1mf_x", "123456").status_code == 401
    assert Api().post("/v1/auth/passkeys/assert/begin", {}).status_code == 409


def test_agents_have_none(robot):
    for answer in (
        robot.api.get("/v1/auth/mfa/status"),
        robot.api.post(SETUP),
        robot.api.post(CONFIRM, {"code": "123456"}),
        robot.api.delete(MFA, body={"code": "123456"}),
    ):
        assert answer.status_code == 403


@pytest.mark.parametrize("what", ["key", "token of a key", "token of a token", "narrowed token"])
def test_a_credential_that_is_no_session_changes_nothing(app, alice, vault, what):
    session_token = verify(asked(), app.code()).json()["access_token"]
    given = {
        "key": lambda: alice.raw_key,
        "token of a key": lambda: alice.token,
        "token of a token": lambda: derived(session_token),
        "narrowed token": lambda: narrowed(alice, vault, session_token),
    }[what]()
    api = Api(given)
    assert api.get("/v1/auth/me").status_code == 200
    for answer in (
        api.post(SETUP),
        api.post(CONFIRM, {"code": app.code(1)}),
        api.delete(MFA, body={"code": app.code(1)}),
        api.delete(MFA, body={"password": PASSWORD}),
        api.post("/v1/auth/passkeys/register/begin"),
    ):
        assert answer.status_code == 403
    denied = [details for outcome, details in events("auth.second_factor_add")[1:]]
    assert denied == [{"reason": "not_a_session"}] * 3
    assert with_password().json()["mfa_required"] is True


def derived(token: str) -> str:
    answer = Api(token).post("/vault/v1/auth/token/create", {}, headers={"X-Vault-Token": token})
    return answer.json()["auth"]["client_token"]


def narrowed(alice, vault, token: str) -> str:
    session = jwt.decode(token, options={"verify_signature": False})["session"]
    issued = issue_token(
        principal=alice.principal,
        api_key=None,
        lifetime_s=900,
        vault_ids=[str(vault.pk)],
        session_id=session,
    )
    return issued.access_token


def test_an_old_session_sets_nothing_up(alice, clock):
    token = with_password().json()
    clock.shift(timedelta(seconds=901))
    refreshed = Api().post("/v1/auth/refresh", {"refresh_token": token["refresh_token"]}).json()
    answer = Api(refreshed["access_token"]).post(SETUP)
    assert answer.status_code == 403
    assert "Sign in again" in answer.json()["detail"]


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"mfa_token": "1mf_x"},
        {"mfa_token": "1mf_x", "code": 123456},
        {"mfa_token": "x" * 129, "code": "123456"},
        {"mfa_token": "1mf_x", "code": "1" * 33},
        {"mfa_token": "1mf_x\0", "code": "123456"},
        {"mfa_token": "1mf_x", "code": "123456", "remember": True},
    ],
)
def test_a_malformed_second_step_is_400(nobody, sent):
    assert nobody.post("/v1/auth/mfa/verify", sent).status_code == 400


def test_what_is_kept_of_a_step_ends_with_it(app, clock):
    from secrets_app.models import SignInStep

    for _ in range(3):
        asked()
    assert SignInStep.objects.count() == 3
    clock.shift(timedelta(seconds=301))
    asked()
    assert SignInStep.objects.count() == 1

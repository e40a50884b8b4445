"""Passkeys over the API: made, used to sign in, listed and removed. `tests/security` has hostile ones."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from secrets_app.models import AuditEvent, SignInSession
from tests.authenticator import Authenticator, decode, encode
from tests.cast import Api
from tests.factors import (
    asked,
    assert_with,
    begin,
    challenge,
    code_of,
    complete,
    register,
    set_up,
    sign_in_with,
    signed_in,
    verify,
    with_password,
)

PASSKEYS = "/v1/auth/passkeys"


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(timezone.now().replace(second=5), tick=False) as now:
        yield now


@pytest.fixture
def key() -> Authenticator:
    return Authenticator()


def events(action):
    found = AuditEvent.objects.filter(action=action).order_by("id")
    return [(each.outcome, each.details) for each in found]


def test_the_options_have_the_names_of_the_family_and_ask_for_all_that_is_needed(alice):
    api = signed_in()
    answer = api.post(f"{PASSKEYS}/register/begin")
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    told = answer.json()
    assert told | {"challenge": "", "user_id": ""} == {
        "challenge": "",
        "rp_id": "testserver",
        "rp_name": "Vaultsite",
        "user_id": "",
        "user_name": "alice@example.com",
        "user_display_name": "alice@example.com",
        "attestation": "none",
        "authenticator_selection": {
            "resident_key": "required",
            "require_resident_key": True,
            "user_verification": "required",
        },
        "algorithms": [-8, -7, -257],
        "exclude_credentials": [],
        "timeout": 300_000,
    }
    assert told["user_id"] == encode(alice.user.pk.bytes)


def test_no_log_names_the_passkeys_of_people(alice, key, caplog):
    credential_id = register(signed_in(), key).json()["credential_id"]
    assert sign_in_with(key).status_code == 200
    raw = decode(credential_id)
    assert not [text for text in (credential_id, raw.hex()) if text in caplog.text]


def test_a_passkey_signs_in_like_a_password_and_a_code(alice, key):
    answer = register(signed_in(), key, name="laptop")
    assert answer.status_code == 201
    assert set(answer.json()) == {"passkey_id", "credential_id", "recovery_codes"}
    assert answer.json()["credential_id"] == encode(key.credential_id)
    assert len(answer.json()["recovery_codes"]) == 10
    signed = sign_in_with(key)
    assert signed.status_code == 200
    assert signed["Cache-Control"] == "no-store"
    told = signed.json()
    assert {"access_token", "token_type", "expires_in", "refresh_token", "token", "user"} == set(
        told
    )
    assert told["token"] == told["access_token"]
    assert told["user"]["email"] == "alice@example.com"
    assert Api(told["access_token"]).get("/v1/auth/me").status_code == 200
    session = SignInSession.objects.get(method="passkey")
    assert (session.second_factor, session.principal_id) == (True, alice.principal.id)
    assert ("success", {"method": "passkey"}) in events("auth.success")
    assert events("auth.second_factor_add") == [("success", {"factor": "webauthn"})]


def test_a_browser_names_its_person_as_well(alice, key):
    options = begin(signed_in())
    complete(Api(with_password().json()["access_token"]), key.register(options))
    api = signed_in()
    register(api, key)
    assert sign_in_with(key, user_handle=options["user_id"]).status_code == 200


def test_an_answer_belongs_to_the_session_that_asked(alice, key):
    options = begin(signed_in())
    assert complete(signed_in(), key.register(options)).status_code == 400


def test_what_is_asked_of_a_browser_says_nothing_about_anybody(alice, key):
    register(signed_in(), key)
    known = Api().post(f"{PASSKEYS}/assert/begin", {"email": "alice@example.com"}).json()
    unknown = Api().post(f"{PASSKEYS}/assert/begin", {"email": "nobody@example.com"}).json()
    for told in (known, unknown):
        assert len(told.pop("challenge")) == 75
    assert known == unknown
    assert known["allow_credentials"] == []
    assert known["user_verification"] == "required"


def test_it_is_a_second_factor_from_then_on(alice, key):
    codes = register(signed_in(), key).json()["recovery_codes"]
    assert with_password().json()["mfa_required"] is True
    assert verify(asked(), codes[0]).status_code == 200


def test_recovery_codes_come_with_the_first_factor_and_an_app_brings_new_ones(alice, key, clock):
    api = signed_in()
    old = register(api, key).json()["recovery_codes"]
    secret = api.post("/v1/auth/mfa/setup").json()["secret"]

    new = api.post("/v1/auth/mfa/verify-setup", {"code": code_of(secret)}).json()["recovery_codes"]
    assert len(new) == 10
    assert not set(old) & set(new)
    assert "recovery_codes" not in register(api, Authenticator(credential_id=b"2" * 32)).json()


def test_passkeys_are_listed_and_removed(alice, key, clock):
    api = signed_in()
    made = register(api, key, name="laptop").json()
    clock.shift(5)
    sign_in_with(key)
    (listed,) = api.get(PASSKEYS).json()["passkeys"]
    assert set(listed) == {"id", "credential_id", "name", "created_at", "last_used_at"}
    assert (listed["id"], listed["name"]) == (made["passkey_id"], "laptop")
    answer = api.delete(f"{PASSKEYS}/{listed['id']}")
    assert answer.status_code == 200
    assert api.get(PASSKEYS).json() == {"passkeys": []}
    assert sign_in_with(key).status_code == 401
    assert "access_token" in with_password().json()
    assert events("auth.second_factor_remove") == [("success", {"factor": "webauthn"})]
    assert api.delete(f"{PASSKEYS}/{listed['id']}").status_code == 404


def test_who_has_a_second_factor_makes_a_passkey_in_a_fresh_session_that_has_passed_it(
    alice, key, clock
):
    app = set_up()
    clock.shift(60)
    fresh = Api(verify(asked(), app.code()).json()["access_token"])
    assert register(fresh, key).status_code == 201
    clock.shift(timedelta(seconds=600))
    SignInSession.objects.update(second_factor=False)
    assert fresh.post(f"{PASSKEYS}/register/begin").status_code == 403
    SignInSession.objects.update(second_factor=True)
    assert fresh.post(f"{PASSKEYS}/register/begin").status_code == 200
    SignInSession.objects.update(created_at=timezone.now() - timedelta(seconds=901))
    assert fresh.post(f"{PASSKEYS}/register/begin").status_code == 403


def test_a_session_that_grew_old_makes_and_removes_no_passkey(alice, key):
    def began_before(seconds):
        SignInSession.objects.update(created_at=timezone.now() - timedelta(seconds=seconds))

    api = signed_in()
    answer = key.register(begin(api))
    began_before(900)
    assert complete(api, answer).status_code == 403
    began_before(899)
    made = complete(api, answer)
    assert made.status_code == 201
    path = f"{PASSKEYS}/{made.json()['passkey_id']}"
    began_before(900)
    assert api.delete(path).status_code == 403
    began_before(899)
    assert api.delete(path).status_code == 200


def test_the_last_factor_of_who_must_have_one_stays(alice, key, settings):
    api = signed_in()
    made = register(api, key).json()
    settings.SECOND_FACTOR = "everybody"
    assert api.delete(f"{PASSKEYS}/{made['passkey_id']}").status_code == 409
    assert sign_in_with(key).status_code == 200


def test_there_is_a_bound_on_how_many(alice):
    api = signed_in()
    for number in range(20):
        made = register(api, Authenticator(credential_id=bytes([number]) * 32))
        assert made.status_code == 201
    assert register(api, Authenticator(credential_id=b"x" * 32)).status_code == 409


def test_somebody_inactive_does_not_get_in(alice, key):
    register(signed_in(), key)
    alice.user.is_active = False
    alice.user.save()
    assert sign_in_with(key).status_code == 401


def test_agents_have_none(robot):
    assert robot.api.get(PASSKEYS).status_code == 403
    assert robot.api.post(f"{PASSKEYS}/register/begin").status_code == 403


def test_a_challenge_lasts_five_minutes(alice, key, clock):
    api = signed_in()
    options = begin(api)
    clock.shift(timedelta(seconds=301))
    assert complete(api, key.register(options)).status_code == 400
    assert register(api, key).status_code == 201
    asked_for = challenge()
    clock.shift(timedelta(seconds=301))

    assert assert_with(key.sign(asked_for)).status_code == 401

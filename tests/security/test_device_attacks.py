"""Attacks on the device flow (RFC 8628, 5; issue 17): guessing, phishing, strangers, races, logs."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from secrets_app.models import AuditEvent, DeviceRequest, SignInSession
from secrets_app.services.identity import devices
from secrets_app.services.identity.device_codes import ALPHABET
from tests.api.test_devices import CODE, START, decide, error_of, poll, start
from tests.api.test_sessions import refresh, sign_in, works
from tests.cast import PASSWORD, Api
from tests.factors import set_up
from vaultsite.accounts.for_api import Factors


def details(token, user_code, **extra):
    return Api(token).post("/v1/auth/device/details", {"user_code": user_code}, **extra)


def wrong_code(n):
    return "".join(ALPHABET[(n // 20**place) % 20] for place in range(8))


def test_a_person_guesses_few_codes_and_each_failure_is_recorded(alice, bob):
    """RFC 8628, 5.1"""
    codes, token = start(), sign_in()["access_token"]
    answers = [details(token, wrong_code(n)).status_code for n in range(21)]
    assert answers == [404] * 20 + [429]
    # The right one is refused then, too, by whatever route; other people go on.
    for route in ("details", "approve", "deny"):
        sent = {"user_code": codes["user_code"]}
        assert Api(token).post(f"/v1/auth/device/{route}", sent).status_code == 429
    assert decide("approve", codes["user_code"], "bob").status_code == 200
    failures = AuditEvent.objects.filter(outcome="failure", action="auth.device_look")
    assert failures.count() == 20
    assert {event.details["reason"] for event in failures} == {"unknown_code"}


def test_an_address_guesses_few_codes_whoever_signs_in_there(monkeypatch, alice, bob):
    """RFC 8628, 5.1"""
    monkeypatch.setattr("secrets_app.http.throttling.CODES_FROM_AN_ADDRESS", "3/10 minutes")
    tokens = [sign_in(name)["access_token"] for name in ("alice", "bob")]
    answers = [details(tokens[n % 2], wrong_code(n)).status_code for n in range(4)]
    assert answers == [404, 404, 404, 429]
    elsewhere = details(tokens[0], wrong_code(9), REMOTE_ADDR="192.0.2.1")
    assert elsewhere.status_code == 404


@pytest.mark.parametrize(
    "typed",
    ["", "A" * 8, "BBBB", "BBBBBBBBB", "\uff22BBBBBBB", "BBBB_BBBB", "x" * 33, 1, None, "\0"],
)
def test_what_is_no_code_is_no_500(alice, typed):
    assert details(sign_in()["access_token"], typed).status_code in (400, 404)


def test_nobody_but_the_named_person_decides_and_nobody_learns_who_there_is(alice, bob):
    """RFC 8628, 5.4"""
    for email in ("BOB@example.com ", "nobody@example.com"):
        codes = start(email=email)
        for verdict in ("details", "approve", "deny"):
            answer = decide(verdict, codes["user_code"])
            assert answer.status_code == 404
            assert answer.json()["detail"] == decide(verdict, "BBBB-BBBB").json()["detail"]
        assert error_of(poll(codes["device_code"])) == "authorization_pending"
    reasons = AuditEvent.objects.filter(action="auth.device_approve", outcome="failure")
    assert [event.details["reason"] for event in reasons] == ["other_person", "unknown_code"] * 2
    mine = start(email="bob@example.com")
    assert decide("approve", mine["user_code"], "bob").status_code == 200
    assert poll(mine["device_code"]).status_code == 200


def test_only_a_person_who_signed_in_themselves_approves(alice, robot):
    codes = start()
    sent = {"user_code": codes["user_code"]}
    session = sign_in()["access_token"]
    derived = Api(session).post("/vault/v1/auth/token/create", {}).json()["auth"]["client_token"]
    for bearer in (alice.raw_key, alice.token, robot.token, derived):
        for verdict in ("details", "approve", "deny"):
            answer = Api(bearer).post(f"/v1/auth/device/{verdict}", sent)
            assert answer.status_code == 403
    assert Api().post("/v1/auth/device/approve", sent).status_code == 401
    assert error_of(poll(codes["device_code"])) == "authorization_pending"
    denied = AuditEvent.objects.filter(action="auth.device_approve", outcome="denied")
    assert {event.details["reason"] for event in denied} == {"not_a_session"}
    assert denied.count() == 12


def test_a_device_lets_no_other_in_so_that_sessions_come_to_an_end(alice):
    first, second = start(), start()
    decide("approve", first["user_code"])
    token = poll(first["device_code"]).json()["access_token"]
    sent = {"user_code": second["user_code"]}
    assert Api(token).post("/v1/auth/device/approve", sent).status_code == 403


def test_who_has_a_second_factor_approves_only_with_it(alice, monkeypatch):
    codes, token = start(), sign_in()["access_token"]
    sent = {"user_code": codes["user_code"]}
    monkeypatch.setattr(Factors, "is_asked", lambda self, user: user.email == "alice@example.com")
    refused = Api(token).post("/v1/auth/device/approve", sent)
    assert refused.status_code == 403
    event = AuditEvent.objects.get(action="auth.device_approve")
    assert (event.outcome, event.details["reason"]) == ("denied", "no_second_factor")
    assert event.resource_id == DeviceRequest.objects.get().pk
    assert refused.json()["detail"] == "Sign in with your second factor for this."
    SignInSession.objects.update(second_factor=True)
    assert Api(token).post("/v1/auth/device/approve", sent).status_code == 200
    poll(codes["device_code"])
    assert SignInSession.objects.get(method="device").second_factor is True


def test_a_device_is_approved_once(alice, bob):
    codes = start()
    assert decide("approve", codes["user_code"]).status_code == 200
    for name in ("alice", "bob"):
        assert decide("approve", codes["user_code"], name).status_code == 409
        assert decide("deny", codes["user_code"], name).status_code == 409
    assert DeviceRequest.objects.get().decided_by == alice.principal


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "a\nb",
        "a\x1b[2J",
        "\u202etxt.exe",
        "a\u200bb",
        "v\u0430ultsite",  # with a Cyrillic letter
        "x" * 65,
        "",
        " ",
        "a ",
        '"quoted"',
        "a&b",
        None,
        ["x"],
    ],
)
def test_a_device_cannot_call_itself_what_misleads_the_eye(nobody, name):
    """RFC 8628, 5.4"""
    answer = nobody.post(CODE, {"client_id": name})
    assert error_of(answer) == "invalid_request"
    assert "client_id" in answer.json()["errors"]
    assert "alert" not in answer.content.decode()


@pytest.mark.parametrize(
    "host", ["evil.example", "testserver.evil.example", "testserver@evil.example"]
)
def test_a_forged_host_leads_nobody_elsewhere(nobody, host):
    answer = nobody.post(CODE, {"client_id": "x"}, HTTP_HOST=host)
    assert answer.status_code == 400
    assert "evil" not in answer.content.decode()
    forwarded = nobody.post(CODE, {"client_id": "x"}, headers={"X-Forwarded-Host": host})
    assert forwarded.json()["verification_uri"] == "http://testserver/device"


def test_slowing_down_is_no_matter_of_the_address(alice, time_machine):
    time_machine.move_to(START, tick=False)
    code = start()["device_code"]
    sent = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": code}
    errors = [
        error_of(Api().post("/v1/auth/device/token", sent, REMOTE_ADDR=f"192.0.2.{n}"))
        for n in range(1, 5)
    ]
    assert errors == ["authorization_pending", "slow_down", "slow_down", "slow_down"]
    time_machine.move_to(START + timedelta(seconds=19.9), tick=False)
    assert error_of(poll(code)) == "slow_down"


def test_what_waits_is_bounded_for_a_network_and_in_all(alice, monkeypatch, time_machine):
    time_machine.move_to(START, tick=False)

    def ask(address):
        return Api().post(CODE, {"client_id": "x"}, REMOTE_ADDR=address)

    assert {ask(f"2001:db8::{n:x}").status_code for n in range(devices.MOST_OF_A_NETWORK)} == {200}
    refused = ask("2001:db8::ffff")
    assert refused.status_code == 429
    assert refused["Retry-After"] == "600"
    assert ask("2001:db8:0:1::1").status_code == 200
    codes = ask("192.0.2.1").json()
    monkeypatch.setattr(devices, "MOST_WAITING", DeviceRequest.objects.count())
    assert ask("192.0.2.1").status_code == 429
    assert decide("deny", codes["user_code"]).status_code == 200  # it waits no more
    assert ask("192.0.2.1").status_code == 200
    time_machine.move_to(START + timedelta(seconds=600), tick=False)
    assert ask("2001:db8::1").status_code == 200


def test_no_code_is_in_a_log_an_event_or_the_database(alice, caplog):
    caplog.set_level("DEBUG")
    codes = start(email="alice@example.com")
    poll(codes["device_code"])
    decide("approve", codes["user_code"])
    decide("approve", "BCDF-GHJK")
    tokens = poll(codes["device_code"]).json()
    kept = caplog.text + str(list(AuditEvent.objects.values()))
    for model in (DeviceRequest, SignInSession):
        kept += str(list(model.objects.values()))
    for secret in (codes["device_code"], tokens["refresh_token"], tokens["access_token"]):
        assert secret not in kept
        assert secret[4:] not in kept
    for code in (codes["user_code"], "BCDF-GHJK"):
        assert code not in kept
        assert code.replace("-", "") not in kept
    assert "alice@example.com" not in str(list(DeviceRequest.objects.values()))


def at_once(*acts):
    answers, gate = [], threading.Barrier(len(acts))

    def run(act):
        try:
            gate.wait()
            answers.append(act())
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return answers


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_gets_the_tokens(alice):
    codes = start()
    decide("approve", codes["user_code"])
    answers = at_once(*[lambda: poll(codes["device_code"])] * 4)
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
    assert SignInSession.objects.filter(method="device").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_an_approval_and_a_denial_at_once_one_counts(alice, bob):
    codes = start()
    sent = {"user_code": codes["user_code"]}
    tokens = [sign_in(name)["access_token"] for name in ("alice", "bob", "alice", "bob")]
    verdicts = ("approve", "deny", "approve", "deny")
    answers = at_once(
        *(
            lambda token=token, verdict=verdict: Api(token).post(f"/v1/auth/device/{verdict}", sent)
            for token, verdict in zip(tokens, verdicts, strict=True)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    events = AuditEvent.objects.filter(
        action__in=("auth.device_approve", "auth.device_deny"), outcome="success"
    )
    assert events.count() == 1
    state = DeviceRequest.objects.get().state
    assert (
        events.get().action
        == {"approved": "auth.device_approve", "denied": "auth.device_deny"}[state]
    )


def test_a_factor_set_up_after_the_approval_keeps_the_device_out(alice):
    """Who has the password alone approves a device, and would ask for its tokens later."""
    codes = start()
    assert decide("approve", codes["user_code"]).status_code == 200
    set_up()
    assert error_of(poll(codes["device_code"])) == "access_denied"
    assert not SignInSession.objects.filter(method="device").exists()


def test_a_factor_set_up_after_a_device_was_let_in_ends_its_session(alice):
    """A device has passed what its approver has passed, and no more."""
    codes = start()
    assert decide("approve", codes["user_code"]).status_code == 200
    tokens = poll(codes["device_code"]).json()
    assert works(tokens["access_token"])
    set_up()
    assert not works(tokens["access_token"])
    assert refresh(tokens["refresh_token"]).status_code == 401


def test_a_code_that_is_unknown_used_or_of_another_client_leaves_an_event(alice):
    codes = start()
    assert decide("approve", codes["user_code"]).status_code == 200
    assert error_of(poll("1dc_unknown")) == "invalid_grant"
    assert error_of(poll(codes["device_code"], client_id="another")) == "invalid_grant"
    assert poll(codes["device_code"]).status_code == 200
    assert error_of(poll(codes["device_code"])) == "invalid_grant"
    failures = AuditEvent.objects.filter(action="auth.failure", details__method="device")
    reasons = failures.order_by("id").values_list("details__reason", flat=True)
    assert list(reasons) == ["unknown_code", "unknown_code", "used_code"]


def test_a_device_changes_nothing_of_how_its_person_signs_in(alice):
    """RFC 8628, 5.4: who was talked into approving one has not given away the account."""
    app, codes = set_up(), start()
    approved = app.api.post("/v1/auth/device/approve", {"user_code": codes["user_code"]})
    assert approved.status_code == 200
    device = Api(poll(codes["device_code"]).json()["access_token"])
    assert device.get("/v1/auth/mfa/status").json() == {"enabled": True}
    answers = [
        device.post("/v1/auth/passkeys/register/begin"),
        device.post("/v1/auth/mfa/setup"),
        device.post("/v1/auth/mfa/verify-setup", {"code": app.code()}),
        device.request("DELETE", "/v1/auth/mfa", {"password": PASSWORD}),
    ]
    assert [each.status_code for each in answers] == [403] * 4
    reasons = AuditEvent.objects.filter(outcome="denied").values_list("details__reason", flat=True)
    assert list(reasons) == ["not_a_session"] * 4
    assert app.api.post("/v1/auth/passkeys/register/begin").status_code == 200

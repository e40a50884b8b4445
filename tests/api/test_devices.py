"""The device flow (RFC 8628): codes, approval by a person, and tokens, once."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from secrets_app.models import AuditEvent, DeviceRequest, Principal, SignInSession
from tests.api.test_sessions import refresh, sign_in, works
from tests.api.test_what_events_say import last_event
from tests.cast import Api

CODE, TOKEN = "/v1/auth/device/code", "/v1/auth/device/token"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
START = datetime(2027, 1, 1, tzinfo=UTC)


def start(**fields):
    answer = Api().post(CODE, {"client_id": "bao on build-7"} | fields)
    assert answer.status_code == 200, answer.content
    return answer.json()


def poll(device_code, **fields):
    return Api().post(TOKEN, {"grant_type": GRANT, "device_code": device_code} | fields)


def error_of(answer):
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"
    return answer.json()["error"]


def decide(verdict, user_code, name="alice"):
    token = sign_in(name)["access_token"]
    return Api(token).post(f"/v1/auth/device/{verdict}", {"user_code": user_code})


def test_a_device_gets_codes_a_person_approves_and_it_gets_tokens_once(alice, time_machine):
    time_machine.move_to(START, tick=False)
    codes = start()
    assert re.fullmatch("[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", codes["user_code"])
    assert len(codes["device_code"]) == len("1dc_") + 43
    assert codes == {
        "device_code": codes["device_code"],
        "user_code": codes["user_code"],
        "verification_uri": "http://testserver/device",
        "verification_uri_complete": f"http://testserver/device?user_code={codes['user_code']}",
        "expires_in": 600,
        "interval": 5,
    }
    assert error_of(poll(codes["device_code"])) == "authorization_pending"
    time_machine.move_to(START + timedelta(minutes=1), tick=False)
    approved = decide("approve", codes["user_code"])
    assert approved.status_code == 200
    assert approved.json()["client_id"] == "bao on build-7"
    time_machine.move_to(START + timedelta(minutes=5), tick=False)
    answer = poll(codes["device_code"])
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    tokens = answer.json()
    assert set(tokens) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert works(tokens["access_token"])
    assert refresh(tokens["refresh_token"]).status_code == 200
    session = SignInSession.objects.get(method="device")
    assert (session.client, session.principal) == ("bao on build-7", alice.principal)
    # Counted from the approval.
    assert session.expires_at == START + timedelta(minutes=1, hours=12)
    assert error_of(poll(codes["device_code"])) == "invalid_grant"
    methods = AuditEvent.objects.filter(action="auth.success").order_by("id")
    assert [event.details["method"] for event in methods] == ["password", "device"]
    actions = ["auth.device_start", "auth.device_approve"]
    found = AuditEvent.objects.filter(action__startswith="auth.device").order_by("id")
    assert [event.action for event in found] == actions
    assert {event.resource_id for event in found} == {DeviceRequest.objects.get().pk}


def test_a_person_sees_what_waits_before_they_decide(alice, time_machine):
    time_machine.move_to(START, tick=False)
    codes = Api().post(CODE, {"client_id": "cli"}, REMOTE_ADDR="192.0.2.7").json()
    token = sign_in()["access_token"]
    spelled = f" {codes['user_code'].lower().replace('-', ' ')} "
    seen = Api(token).post("/v1/auth/device/details", {"user_code": spelled})
    assert seen.json() == {
        "client_id": "cli",
        "ip_address": "192.0.2.7",
        "created_at": "2027-01-01T00:00:00Z",
        "expires_at": "2027-01-01T00:10:00Z",
    }
    assert error_of(poll(codes["device_code"])) == "authorization_pending"


def test_whoever_asks_too_soon_waits_five_seconds_longer_each_time(alice, time_machine):
    time_machine.move_to(START, tick=False)
    code = start()["device_code"]
    now = START
    for wait, expected in [
        (0, "authorization_pending"),
        (5, "authorization_pending"),
        (4.999, "slow_down"),
        (9.999, "slow_down"),
        (15, "authorization_pending"),
        (14.999, "slow_down"),
        (20, "authorization_pending"),
    ]:
        now += timedelta(seconds=wait)
        time_machine.move_to(now, tick=False)
        assert error_of(poll(code)) == expected, wait


def test_a_denied_device_is_told_and_stays_out(alice):
    codes = start()
    assert decide("deny", codes["user_code"]).status_code == 200
    assert error_of(poll(codes["device_code"])) == "access_denied"
    assert decide("approve", codes["user_code"]).status_code == 409
    assert error_of(poll(codes["device_code"])) == "access_denied"
    assert SignInSession.objects.filter(method="device").count() == 0


def test_codes_last_ten_minutes_and_their_end_is_told_for_an_hour(alice, time_machine):
    time_machine.move_to(START, tick=False)
    waiting, approved = start(), start()
    decide("approve", approved["user_code"])
    time_machine.move_to(START + timedelta(seconds=600), tick=False)
    assert decide("approve", waiting["user_code"]).status_code == 404
    for codes in (waiting, approved):
        assert error_of(poll(codes["device_code"])) == "expired_token"
    time_machine.move_to(START + timedelta(seconds=600 + 3600), tick=False)
    start()  # removes what is old
    assert error_of(poll(waiting["device_code"])) == "invalid_grant"
    assert DeviceRequest.objects.count() == 1


@pytest.mark.parametrize("change", ["end_all", "inactive", "user"])
def test_what_ends_the_approvers_tokens_ends_the_approval(alice, change):
    codes = start()
    assert decide("approve", codes["user_code"]).status_code == 200
    if change == "end_all":
        assert alice.api.delete("/v1/auth/sessions").status_code == 204
    elif change == "inactive":
        Principal.objects.filter(pk=alice.principal.pk).update(is_active=False)
    else:
        type(alice.user).objects.filter(pk=alice.user.pk).update(is_active=False)
    assert error_of(poll(codes["device_code"])) == "access_denied"


def test_a_device_is_let_in_although_the_session_that_approved_it_ends(alice):
    codes, token = start(), sign_in()["access_token"]
    sent = {"user_code": codes["user_code"]}
    assert Api(token).post("/v1/auth/device/approve", sent).status_code == 200
    Api(token).delete("/v1/auth/token")
    assert poll(codes["device_code"]).status_code == 200


def test_forms_are_taken_as_oauth_has_them(alice):
    form = "application/x-www-form-urlencoded"
    answer = Api().post(CODE, urlencode({"client_id": "a b", "email": ""}), content_type=form)
    assert answer.status_code == 200
    codes = answer.json()
    sent = {"grant_type": GRANT, "device_code": codes["device_code"], "client_id": "a b"}
    pending = Api().post(TOKEN, urlencode(sent), content_type=form)
    assert error_of(pending) == "authorization_pending"
    decide("approve", codes["user_code"])
    answer = Api().post(TOKEN, urlencode(sent), content_type=form + "; charset=utf-8")
    assert works(answer.json()["access_token"])


@pytest.mark.parametrize(
    "raw",
    [
        "client_id",
        "client_id=a&client_id=b",
        "client_id=%ff",
        "é=1",
        "&".join("a=1" for _ in range(99)),
    ],
)
def test_odd_forms_are_refused(nobody, raw):
    form = "application/x-www-form-urlencoded"
    assert error_of(nobody.post(CODE, raw.encode(), content_type=form)) == "invalid_request"


def test_what_is_wrong_is_said_as_oauth_says_it(nobody, alice):
    assert error_of(nobody.post(CODE, {})) == "invalid_request"
    assert error_of(nobody.post(CODE, {"client_id": "x", "scope": "all"})) == "invalid_request"
    assert error_of(nobody.post(TOKEN, {"device_code": "x"})) == "invalid_request"
    wrong = nobody.post(TOKEN, {"grant_type": "password", "device_code": "x"})
    assert error_of(wrong) == "unsupported_grant_type"
    assert error_of(poll("1dc_unknown")) == "invalid_grant"
    assert error_of(poll(start()["device_code"], client_id="another")) == "invalid_grant"
    assert nobody.post(CODE, "x", content_type="text/plain").status_code == 415
    assert nobody.post(CODE, " " * 9000).status_code == 413


def test_without_its_event_no_step_is_taken(alice, unwritable_log):
    codes, token = start(), sign_in()["access_token"]
    with unwritable_log():
        assert Api().post(CODE, {"client_id": "x"}).status_code == 500
        for verdict in ("approve", "deny"):
            sent = {"user_code": codes["user_code"]}
            answer = Api(token).post(f"/v1/auth/device/{verdict}", sent)
            assert answer.status_code == 500
    assert DeviceRequest.objects.count() == 1
    assert error_of(poll(codes["device_code"])) == "authorization_pending"
    decide("approve", codes["user_code"])
    with unwritable_log():
        assert poll(codes["device_code"]).status_code == 500
    assert poll(codes["device_code"]).status_code == 200


@pytest.mark.parametrize("verdict", ["approve", "deny"])
def test_a_decision_is_about_one_device_and_its_event_says_which(alice, verdict):
    codes, other = start(), start()
    decided = DeviceRequest.objects.earliest("created_at")
    assert decide(verdict, codes["user_code"]).status_code == 200
    assert error_of(poll(other["device_code"])) == "authorization_pending"
    told = {"requested_from": "127.0.0.1"}
    assert last_event() == (f"auth.device_{verdict}", "success", "device", decided.pk, told)
    again = decide(verdict, codes["user_code"])
    assert (again.status_code, again.json()["detail"]) == (409, "This was decided already.")


@pytest.mark.parametrize("verdict", ["approve", "deny"])
@pytest.mark.parametrize("code", ["BCDF-GHJK", "BCDFGHJ", "AAAA-AAAA", ""])
def test_a_code_that_no_device_shows_is_unknown_in_the_event_too(alice, verdict, code):
    start()
    answer = decide(verdict, code)
    if code:
        assert answer.status_code == 404
        assert answer.json()["detail"].startswith("No device waits with this code.")
        told = {"reason": "unknown_code"}
        assert last_event() == (f"auth.device_{verdict}", "failure", "device", None, told)
    else:
        assert answer.status_code == 400


def test_somebody_elses_device_is_unknown_and_the_event_names_it(alice, bob):
    codes = start(email=bob.user.email)
    device = DeviceRequest.objects.get()
    assert decide("approve", codes["user_code"]).status_code == 404
    told = {"reason": "other_person"}
    assert last_event() == ("auth.device_approve", "failure", "device", device.pk, told)


def test_a_key_approves_nothing_and_the_answer_and_the_event_say_why(alice):
    codes = start()
    key = alice.api.post("/v1/auth/api-keys", {"name": "ci"}).json()["api_key"]
    answer = Api(key).post("/v1/auth/device/approve", {"user_code": codes["user_code"]})
    assert answer.status_code == 403
    assert answer.json()["detail"].startswith("Sign in as a person for this")
    told = {"reason": "not_a_session"}
    assert last_event() == ("auth.device_approve", "denied", "device", None, told)

"""The page where people let devices in: nothing is decided by opening it, or from elsewhere."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from secrets_app.models import AuditEvent, DeviceRequest, SignInSession
from tests.accounts.sign_in import browser, code_of, set_up_app, sign_in
from tests.api.test_devices import error_of, poll, start
from tests.cast import PASSWORD, Api

PAGE = "/device"


@pytest.fixture
def page(alice):
    return sign_in("alice@example.com")[0]


def send(client, codes, step="", **extra):
    return client.post(PAGE, {"user_code": codes["user_code"], "step": step}, **extra)


def test_a_person_signs_in_types_the_code_sees_who_asks_and_lets_it_in(alice):
    codes = (
        Api()
        .post("/v1/auth/device/code", {"client_id": "bao on build-7"}, REMOTE_ADDR="192.0.2.7")
        .json()
    )
    path = codes["verification_uri_complete"].removeprefix("http://testserver")
    client = browser()
    asked = client.get(path)
    assert asked.status_code == 302
    sent = {"login": "alice@example.com", "password": PASSWORD}
    back = client.post(asked.headers["Location"], sent)
    assert back.headers["Location"] == path
    filled = client.get(path).content.decode()
    assert f'value="{codes["user_code"]}"' in filled
    assert "bao on build-7" not in filled
    shown = send(client, codes).content.decode()
    assert "“bao on build-7”" in shown
    assert "192.0.2.7" in shown
    assert "alice@example.com" in shown
    assert error_of(poll(codes["device_code"])) == "authorization_pending"
    assert "The device is let in" in send(client, codes, "approve").content.decode()
    token = poll(codes["device_code"]).json()["access_token"]
    me = Api(token).get("/v1/auth/me").json()
    assert me["email"] == "alice@example.com"
    event = AuditEvent.objects.get(action="auth.device_approve")
    assert (event.outcome, event.actor_id) == ("success", alice.principal.id)
    assert event.details == {"requested_from": "192.0.2.7"}


def test_a_person_keeps_it_out(page):
    codes = start()
    assert "The device is kept out" in send(page, codes, "deny").content.decode()
    assert error_of(poll(codes["device_code"])) == "access_denied"
    assert "decided already" in send(page, codes, "approve").content.decode()


def test_to_open_the_page_decides_nothing(page):
    codes = start()
    for query in ("", "&step=approve", "&step=deny"):
        answer = page.get(f"{PAGE}?user_code={codes['user_code']}{query}")
        assert answer.status_code == 200
        assert page.head(f"{PAGE}?user_code={codes['user_code']}{query}").status_code == 200
    assert error_of(poll(codes["device_code"])) == "authorization_pending"
    assert page.put(PAGE).status_code == 405


def test_forms_of_other_sites_are_refused(alice):
    codes = start()
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(alice.user)
    assert send(client, codes, "approve").status_code == 403
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', client.get(PAGE).content.decode())[1]
    sent = {"user_code": codes["user_code"], "step": "approve", "csrfmiddlewaretoken": token}
    foreign = client.post(PAGE, sent, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    assert error_of(poll(codes["device_code"])) == "authorization_pending"
    assert client.post(PAGE, sent).status_code == 200
    assert poll(codes["device_code"]).status_code == 200


def test_the_page_runs_no_script_is_in_no_frame_and_in_no_cache(page):
    codes = start()
    for answer in (
        page.get(PAGE),
        send(page, codes),
        send(page, codes, "approve"),
        browser().get(PAGE),
    ):
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "script" not in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "no-store" in answer.headers["Cache-Control"]
        assert b"<script" not in answer.content
        assert b" style=" not in answer.content


def test_what_the_address_says_is_text(page):
    answer = page.get(PAGE, {"user_code": '"><script>alert(1)</script>'})
    assert b"<script" not in answer.content
    sent = page.post(PAGE, {"user_code": '"><script>x</script>'})
    assert b"<script" not in sent.content


def test_it_warns_of_those_who_send_codes(page):
    assert b"keep it out" in send(page, start()).content


def test_unknown_codes_are_refused_counted_and_recorded(page):
    for _ in range(20):
        answer = page.post(PAGE, {"user_code": "BBBB-BBBB"})
        assert "No device waits" in answer.content.decode()
    assert page.post(PAGE, {"user_code": "BBBB-BBBB"}).status_code == 429
    failures = AuditEvent.objects.filter(action="auth.device_look", outcome="failure")
    assert failures.count() == 20


def test_somebody_elses_device_is_unknown(alice, bob, page):
    codes = start(email="bob@example.com")
    for step in ("", "approve", "deny"):
        assert "No device waits" in send(page, codes, step).content.decode()
    assert DeviceRequest.objects.get().state == "pending"


def test_who_has_a_second_factor_needs_it_here_and_the_device_has_it_then(
    alice, page, time_machine
):
    secret = set_up_app(page)
    other = browser()
    other.force_login(alice.user)  # a session from before, without it
    codes = start()
    assert send(other, codes, "approve").status_code == 302
    assert error_of(poll(codes["device_code"])) == "authorization_pending"
    time_machine.move_to(datetime.now(UTC) + timedelta(minutes=1), tick=False)
    client, _ = sign_in("alice@example.com", code=code_of(secret))
    assert "let in" in send(client, codes, "approve").content.decode()
    assert poll(codes["device_code"]).status_code == 200
    assert SignInSession.objects.get(method="device").second_factor is True


def test_without_its_event_nothing_is_approved(page, unwritable_log):
    codes = start()
    with unwritable_log():
        assert send(page, codes, "approve").status_code == 500
    assert error_of(poll(codes["device_code"])) == "authorization_pending"

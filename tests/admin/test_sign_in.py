"""Signing in to pages, the admin among them, leaves the same events as every other way."""

import pytest
from django.test import Client

from secrets_app.models import AuditEvent
from tests.cast import PASSWORD
from vaultsite.accounts.models import User

LOGIN = "/accounts/login/"


@pytest.fixture
def root(db):
    return User.objects.create_superuser("root@example.com", PASSWORD)


def sign_in(username="root@example.com", password=PASSWORD):
    client = Client(raise_request_exception=False)
    return client, client.post(LOGIN, {"login": username, "password": password})


def test_success(root):
    client, answer = sign_in("ROOT@example.com")
    assert answer.status_code == 302
    event = AuditEvent.objects.get()
    assert (event.action, event.outcome, event.details) == (
        "auth.success",
        "success",
        {"method": "session"},
    )
    assert (event.actor_id, event.actor_type) == (root.principal.pk, "user")
    assert event.resource_id == root.principal.pk
    assert event.ip_address == "127.0.0.1"
    assert event.request_id is not None
    assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize(
    ("username", "password", "reason"),
    [
        ("root@example.com", "wrong", "bad_credentials"),
        ("nobody@example.com", "wrong", "bad_credentials"),
    ],
)
def test_failure(root, username, password, reason):
    _, answer = sign_in(username, password)
    assert answer.status_code == 200
    event = AuditEvent.objects.get()
    assert (event.action, event.outcome) == ("auth.failure", "failure")
    assert event.details == {"method": "session", "reason": reason}
    assert PASSWORD not in str(event.details)


def test_lockout(root, settings):
    settings.AXES_FAILURE_LIMIT = 2
    for _ in range(3):
        sign_in(password="wrong")
    reasons = [e.details["reason"] for e in AuditEvent.objects.order_by("id")]
    assert reasons[-1] == "locked_out"
    assert "bad_credentials" in reasons


def test_an_incomplete_form_is_no_attempt(root):
    assert sign_in("", "")[1].status_code == 200
    assert not AuditEvent.objects.exists()


def test_without_its_event_nobody_gets_in(root, unwritable_log):
    with unwritable_log():
        client, answer = sign_in()
    assert answer.status_code == 500
    assert client.get("/admin/").status_code == 302


def test_who_is_not_staff_is_told_so(db):
    User.objects.create_user("dora@example.com", PASSWORD)
    client, answer = sign_in("dora@example.com")
    assert answer.headers["Location"] == "/accounts/"
    answer = client.get("/admin/", follow=True)
    assert answer.status_code == 403
    assert "dora@example.com, who may not see the admin" in answer.content.decode()
    assert "no-store" in answer.headers["Cache-Control"]


def test_the_admin_leads_to_the_sign_in_and_back(root, client):
    answer = client.get("/admin/secrets_app/vault/", follow=True)
    (_, _), (login, _) = answer.redirect_chain
    assert login == "/accounts/login/?next=/admin/secrets_app/vault/"
    answer = client.post(login, {"login": "root@example.com", "password": PASSWORD})
    assert answer.headers["Location"] == "/admin/secrets_app/vault/"
    assert client.get("/admin/login/?next=/admin/auth/").headers["Location"] == "/admin/auth/"


def test_what_is_posted_where_the_form_was_is_no_attempt(root, client):
    answer = client.post("/admin/login/", {"username": "root@example.com", "password": PASSWORD})
    assert answer.headers["Location"] == "/accounts/login/?next=/admin/"
    assert not AuditEvent.objects.exists()

"""Changing one's own password in the pages does what it does over the API."""

import pytest
from django.test import Client

from secrets_app.models import AuditEvent
from secrets_app.services.identity.principals import principal_for_user
from secrets_app.services.identity.tokens import issue_token
from tests.cast import PASSWORD, Api
from vaultsite.accounts.models import User

PAGE, NEW = "/accounts/password/", PASSWORD + " again"


@pytest.fixture
def root(db):
    return User.objects.create_superuser("root@example.com", PASSWORD)


@pytest.fixture
def page(root):
    client = Client(raise_request_exception=False)
    client.force_login(root)

    def send(old=PASSWORD, new=NEW, again=None):
        sent = {"old_password": old, "new_password1": new, "new_password2": again or new}
        return client, client.post(PAGE, sent)

    return send


def outcomes():
    events = AuditEvent.objects.filter(action="auth.password_change").order_by("id")
    return [(event.outcome, event.details.get("reason")) for event in events]


def test_it_is_recorded_ends_tokens_and_keeps_the_session(root, page):
    principal = principal_for_user(root)
    api = Api(issue_token(principal=principal, api_key=None, lifetime_s=900).access_token)
    assert api.get("/v1/auth/me").status_code == 200
    client, answer = page()
    assert answer.headers["Location"] == "/accounts/"
    assert client.get("/accounts/").status_code == 200
    assert outcomes() == [("success", None)]
    assert AuditEvent.objects.get(action="auth.password_change").actor_id == principal.pk
    assert api.get("/v1/auth/me").status_code == 401
    root.refresh_from_db()
    assert root.check_password(NEW)


@pytest.mark.parametrize(
    ("sent", "told", "left"),
    [
        ({"old": "wrong"}, "This is not your password.", [("failure", "bad_credentials")]),
        ({"new": "short"}, "too short", []),
        ({"again": "another"}, "match", []),
    ],
)
def test_what_is_wrong_is_told_and_changes_nothing(root, page, sent, told, left):
    _, answer = page(**sent)
    assert told in answer.content.decode()
    assert outcomes() == left
    root.refresh_from_db()
    assert root.check_password(PASSWORD)


def test_guesses_are_locked_out(root, page, settings):
    settings.AXES_FAILURE_LIMIT = 2
    for _ in range(3):
        page(old="wrong")
    assert outcomes()[-1] == ("failure", "locked_out")
    page()
    root.refresh_from_db()
    assert root.check_password(PASSWORD)


def test_without_its_event_nothing_changes(root, page, unwritable_log):
    with unwritable_log():
        assert page()[1].status_code == 500
    root.refresh_from_db()
    assert root.check_password(PASSWORD)


def test_it_is_for_who_is_signed_in(client, db):
    assert client.get(PAGE).headers["Location"].startswith("/accounts/login/")
    assert client.get("/admin/password_change/").headers["Location"] == PAGE

"""Strangers at the sign-in page: what they ask for costs as little as over the API."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from tests.accounts.sign_in import LOGIN, browser, sign_in
from tests.accounts.test_passkeys import PASSWORDLESS
from tests.cast import PASSWORD
from tests.factors import with_password
from tests.oidc.conftest import _asked_anew, _provider, provider  # noqa: F401


@pytest.fixture(autouse=True)
def _two_an_hour(settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"SIGN_IN_RATE_LIMIT": "2/hour"}


def test_attempts_on_the_page_have_the_rate_of_those_over_the_api(alice):
    """A wrong password of nobody costs a hash, too, so the lockout of accounts is no bound."""
    for name in ("nobody", "somebody"):
        assert sign_in(f"{name}@example.com")[1].status_code == 200
    _, answer = sign_in("alice@example.com")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert with_password().status_code == 429
    elsewhere = browser(REMOTE_ADDR="192.0.2.1")
    sent = {"login": "alice@example.com", "password": PASSWORD}
    assert elsewhere.post(LOGIN, sent).status_code == 302


def test_a_strangers_challenge_is_kept_for_minutes_and_few_are(db, time_machine):
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    answers = [browser().get(PASSWORDLESS).status_code for _ in range(3)]
    assert answers == [200, 200, 429]
    assert Session.objects.count() == 2
    time_machine.move_to(now + timedelta(hours=1), tick=False)
    assert browser(REMOTE_ADDR="192.0.2.1").get(PASSWORDLESS).status_code == 200
    assert Session.objects.count() == 1


def test_attempts_by_a_provider_have_that_rate_too(provider):  # noqa: F811
    """Else a stranger would have the provider asked as often as they like."""
    start = "/accounts/oidc/corp/start/"
    assert [browser().post(start).status_code for _ in range(3)] == [200, 200, 429]
    assert with_password().status_code == 429
    assert browser(REMOTE_ADDR="192.0.2.1").post(start).status_code == 200

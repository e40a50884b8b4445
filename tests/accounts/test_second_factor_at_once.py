"""One code, many sign-ins at the same moment."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.http import HttpRequest

from secrets_app.services.identity import open_factor
from tests.accounts.sign_in import code_of
from tests.api.test_concurrency import all_at_once
from vaultsite.accounts.factors import new_secret
from vaultsite.accounts.models import CodeCheck, User
from vaultsite.accounts.second_factor import check_code

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def root():
    user = User.objects.create_superuser("root@example.com", "x")
    Authenticator.objects.create(user=user, type="totp", data={"secret": new_secret()})
    RecoveryCodes.activate(user)
    CodeCheck.objects.create(user=user)  # to insert it would make the others wait
    return user


def checked(code):
    """Each as of another process: nothing but the database is shared, and no failure waits."""
    return lambda n: check_code(user=User.objects.get(), code=code, request=_request(n))


def _request(n):
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": f"192.0.2.{n}"}
    return request


def test_a_code_is_taken_by_one_of_many(root):
    secret = open_factor(Authenticator.objects.get(type="totp").data["secret"])
    answers = all_at_once(checked(code_of(secret)), 8)
    assert answers.count("totp") == 1
    assert answers.count(None) == 7


def test_a_recovery_code_is_taken_by_one_of_many(root):
    row = Authenticator.objects.get(type="recovery_codes")
    answers = all_at_once(checked(row.wrap().generate_codes()[7]), 8)
    assert answers.count("recovery_codes") == 1
    assert answers.count(None) == 7
    row.refresh_from_db()
    assert row.data["used_mask"] == 1 << 7

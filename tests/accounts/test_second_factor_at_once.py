"""One code, many sign-ins at the same moment."""

import pytest
from django_otp.oath import TOTP

from secrets_app.services.identity.second_factor import generate_salt, seed_of
from tests.api.test_concurrency import all_at_once
from vaultsite.accounts.models import SecondFactor, User

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_code_is_taken_by_one_of_many():
    number, salt = generate_salt()
    user = User.objects.create_superuser("root@example.com", "x")
    factor = SecondFactor.objects.create(user=user, key_number=number, salt=salt)
    code = f"{TOTP(seed_of(key_number=number, salt=salt)).token():06}"
    answers = all_at_once(lambda _: SecondFactor.objects.get(pk=factor.pk).verify_token(code), 8)
    assert sorted(answers) == [False] * 7 + [True]

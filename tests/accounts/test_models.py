import pytest
from django.db import IntegrityError, connection, transaction

from vaultsite.accounts.models import User


def test_an_address_is_stored_and_found_in_lower_case(db):
    user = User.objects.create_user(" Alice@Example.COM", "x")
    assert user.email == "alice@example.com"
    assert User.objects.get(email="ALICE@example.com") == user
    assert User.objects.get_by_natural_key("aLICE@example.com") == user
    assert str(user) == "alice@example.com"


def test_one_address_is_one_person_in_the_database_too(db):
    User.objects.create_user("alice@example.com", "x")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("ALICE@EXAMPLE.COM", "x")
    user = User.objects.create_user("bob@example.com", "x")
    key = user.pk.hex if connection.vendor == "sqlite" else user.pk
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_user SET email = 'Alice@example.com' WHERE id = %s", [key])


def test_a_user_needs_an_address(db):
    with pytest.raises(ValueError, match="e-mail"):
        User.objects.create_user("", "x")


def test_a_superuser_may_sign_in_to_the_admin(db):
    user = User.objects.create_superuser("root@example.com", "x")
    assert user.is_staff
    assert user.is_superuser
    assert not User.objects.create_user("bob@example.com").has_usable_password()

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from secrets_app.models import AuditEvent
from tests.cast import Api
from vaultsite.accounts.models import User

GOOD = "a long enough passphrase"


def create(monkeypatch, *arguments, password=GOOD):
    monkeypatch.setenv("VAULTSITE_PASSWORD", password)
    out = StringIO()
    call_command("create_user", *arguments, stdout=out)
    return out.getvalue()


def test_a_person_is_made_who_can_sign_in(db, monkeypatch):
    answer = json.loads(create(monkeypatch, "Dora@Example.com", "--json"))
    assert answer["email"] == "dora@example.com"
    sign_in = {"email": "dora@example.com", "password": GOOD}
    assert Api().post("/v1/auth/token", sign_in).status_code == 200
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser) == (False, False)
    event = AuditEvent.objects.get(action="user.create")
    assert (event.actor_type, str(event.resource_id)) == ("operator", answer["principal_id"])


@pytest.mark.parametrize(
    ("flag", "staff", "superuser"), [("--staff", True, False), ("--superuser", True, True)]
)
def test_staff_and_superusers_may_sign_in_to_the_admin(db, monkeypatch, flag, staff, superuser):
    assert "made dora@example.com" in create(monkeypatch, "dora@example.com", flag)
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser) == (staff, superuser)


@pytest.mark.parametrize(
    ("email", "password", "says"),
    [
        ("not an address", GOOD, "valid email"),
        ("dora@example.com", "12345678", "too common"),
        ("dora@example.com", "dora@example.com", "too similar"),
        ("ALICE@example.com", GOOD, "already"),
    ],
)
def test_what_is_not_good_enough_is_refused(alice, monkeypatch, email, password, says):
    with pytest.raises(CommandError, match=says):
        create(monkeypatch, email, password=password)
    assert User.objects.count() == 1

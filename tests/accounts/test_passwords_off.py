"""PASSWORD_SIGN_IN=off: no door takes a password, and none tells about accounts. One superuser may use one
for a time."""

import json
from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from secrets_app.models import AuditEvent
from tests import cast
from tests.accounts.sign_in import SECOND_STEP, code_of, set_up_app
from tests.accounts.sign_in import sign_in as sign_in_on_page
from tests.cast import PASSWORD
from tests.factors import verify
from vaultsite.accounts.models import BreakGlass, User


@pytest.fixture(autouse=True)
def _off(settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"PASSWORD_SIGN_IN": False}


@pytest.fixture
def root(db):
    return User.objects.create_superuser("root@example.com", PASSWORD)


@pytest.fixture
def other_root(db):
    return User.objects.create_superuser("other@example.com", PASSWORD)


def over_the_api(email, password=PASSWORD):
    return cast.Api().post("/v1/auth/token", {"email": email, "password": password})


def over_the_vault_door(email, password=PASSWORD):
    return cast.Api().post(f"/vault/v1/auth/userpass/login/{email}", {"password": password})


def is_in(email, password=PASSWORD):
    return sign_in_on_page(email, password)[0].get("/accounts/").status_code == 200


def break_glass(*arguments):
    out = StringIO()
    call_command("break_glass", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


ATTEMPTS = [
    ("alice@example.com", PASSWORD),
    ("alice@example.com", "wrong"),
    ("nobody@example.com", "wrong"),
    ("root@example.com", PASSWORD),
]


def test_the_api_says_so_to_everybody_alike(alice, root):
    answers = [over_the_api(*attempt) for attempt in ATTEMPTS]
    assert {answer.status_code for answer in answers} == {401}
    details = {answer.json()["detail"] for answer in answers}
    assert len(details) == 1
    assert "Passwords are switched off here" in details.pop()
    reasons = {
        event.details["reason"] for event in AuditEvent.objects.filter(action="auth.failure")
    }
    assert reasons == {"passwords_off"}


def test_the_vault_door_refuses_alike(alice, root):
    answers = [over_the_vault_door(*attempt) for attempt in ATTEMPTS]
    assert len({(answer.status_code, answer.content) for answer in answers}) == 1
    assert answers[0].status_code == 400


def test_the_pages_say_so_to_everybody_alike(alice, root):
    for email, password in ATTEMPTS:
        client, answer = sign_in_on_page(email, password)
        assert "Passwords are switched off here" in answer.content.decode()
        assert client.get("/accounts/").status_code == 302
        assert client.get("/admin/").status_code == 302


def test_a_password_changes_nothing_over_the_api(alice):
    new = {"current_password": PASSWORD, "new_password": "a new long passphrase"}
    answer = alice.api.post("/v1/auth/change-password", new)
    assert answer.status_code == 400
    assert "switched off" in str(answer.json()["errors"])
    alice.user.refresh_from_db()
    assert alice.user.check_password(PASSWORD)


def test_a_password_changes_nothing_on_its_page(alice):
    client = Client()
    client.force_login(alice.user)
    form = {
        "old_password": PASSWORD,
        "new_password1": "a new long passphrase",
        "new_password2": "a new long passphrase",
    }
    assert "switched off" in client.post("/accounts/password/", form).content.decode()
    alice.user.refresh_from_db()
    assert alice.user.check_password(PASSWORD)


def test_what_needs_no_password_goes_on(alice):
    assert cast.Api().post("/v1/auth/api-key-token", {"api_key": alice.raw_key}).status_code == 200


def test_one_superuser_may_for_a_time(alice, root, other_root):
    told = break_glass("root@example.com", "--for", "30m")
    assert told["email"] == "root@example.com"
    event = AuditEvent.objects.get(action="auth.break_glass")
    assert (event.actor_type, event.resource_id) == ("operator", root.principal.pk)
    assert event.details == {"until": told["until"]}
    assert is_in("root@example.com")
    assert over_the_api("root@example.com").status_code == 200
    assert not is_in("root@example.com", "wrong")
    assert not is_in("other@example.com")
    assert not is_in("alice@example.com")
    with time_machine.travel(timezone.now() + timedelta(minutes=31)):
        assert not is_in("root@example.com")


def test_the_answer_to_a_wrong_password_does_not_tell_who_may(root, other_root):
    break_glass("root@example.com")
    answers = {
        over_the_api(each, "wrong").json()["detail"] for each in ("root@example.com", "x@y.z")
    }
    assert len(answers) == 1


def test_a_second_call_takes_the_place_of_the_first_and_end_ends_it(root, other_root):
    break_glass("root@example.com")
    break_glass("other@example.com")
    assert BreakGlass.objects.count() == 1
    assert not is_in("root@example.com")
    assert is_in("other@example.com")
    assert break_glass("--end") == {"ended": True}
    assert not is_in("other@example.com")
    assert break_glass("--end") == {"ended": False}
    assert AuditEvent.objects.filter(action="auth.break_glass_end").count() == 1


def end(other_root):
    assert break_glass("--end") == {"ended": True}


def give_to_another(other_root):
    break_glass("other@example.com")


@pytest.mark.parametrize("take_back", [end, give_to_another])
def test_what_began_with_the_password_ends_when_it_is_taken_back(root, other_root, take_back):
    break_glass("root@example.com")
    client, _ = sign_in_on_page("root@example.com")
    token = over_the_api("root@example.com").json()["access_token"]
    break_glass("root@example.com", "--for", "2h")
    assert client.get("/accounts/").status_code == 200
    take_back(other_root)
    assert client.get("/accounts/").status_code == 302
    assert cast.Api(token).get("/v1/auth/me").status_code == 401
    event = AuditEvent.objects.get(action="auth.revoke_all")
    assert (event.actor_type, event.resource_id) == ("operator", root.principal.pk)


def test_so_does_a_sign_in_that_waits_for_its_second_factor(root, other_root):
    break_glass("root@example.com")
    client, _ = sign_in_on_page("root@example.com")
    secret = set_up_app(client)
    half, answer = sign_in_on_page("root@example.com")
    assert answer.headers["Location"] == SECOND_STEP
    mfa_token = over_the_api("root@example.com").json()["mfa_token"]
    end(other_root)
    half.post(SECOND_STEP, {"code": code_of(secret, steps=1)})
    assert half.get("/accounts/").status_code == 302
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        assert verify(mfa_token, code_of(secret)).status_code == 401


def test_who_is_no_superuser_any_more_may_not(root):
    break_glass("root@example.com")
    User.objects.update(is_superuser=False)
    assert not is_in("root@example.com")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("root@example.com", "--end"),
        ("root@example.com", "--for", "25h"),
        ("alice@example.com",),
        ("nobody@example.com",),
    ],
)
def test_break_glass_is_for_a_superuser_and_a_day_at_most(alice, root, arguments):
    with pytest.raises(CommandError):
        break_glass(*arguments)
    assert not BreakGlass.objects.exists()

"""An invitation is a link that makes one account, once."""

import json
import re
import threading
from datetime import timedelta
from email import message_from_bytes, policy
from io import StringIO
from urllib.parse import urlsplit

import pytest
import time_machine
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from environ import Env

from secrets_app.models import AuditEvent
from tests.accounts.sign_in import sign_in as sign_in_with_password
from tests.oidc.browser import sign_in
from tests.oidc.conftest import _asked_anew, _provider, provider  # noqa: F401
from vaultsite.accounts.models import Invitation, User

NEW = "a very new long passphrase"


@pytest.fixture(autouse=True)
def _host(settings):
    settings.PUBLIC_URL = "https://vault.example.com"


def invite(*arguments):
    out = StringIO()
    call_command("invite", "Dora@example.com", *arguments, "--json", stdout=out, stderr=StringIO())
    return json.loads(out.getvalue())


def path_of(told):
    return urlsplit(told["url"]).path


def accept(path, password=NEW, client=None):
    form = {"new_password1": password, "new_password2": password}
    return (client or Client(raise_request_exception=False)).post(path, form)


def details_of(action):
    return AuditEvent.objects.get(action=action).details


@pytest.mark.parametrize(
    ("insecure", "port", "begins"),
    [
        (False, "9000", "https://testserver/accounts/"),
        (True, "9000", "http://testserver:9000/accounts/"),
        (True, "", "http://testserver:8000/accounts/"),
    ],
)
def test_without_a_public_url_the_link_leads_to_where_the_service_is(
    db, settings, monkeypatch, insecure, port, begins
):
    settings.PUBLIC_URL, settings.INSECURE_HTTP = "", insecure
    settings.ALLOWED_HOSTS = ["*.example.com", "testserver"]
    monkeypatch.setenv("PORT", port)
    assert invite()["url"].startswith(begins)


def test_a_person_is_invited_and_signs_in_with_a_password(db):
    Group.objects.create(name="payments")
    told = invite("--group", "payments", "--staff")
    assert told["url"].startswith("https://vault.example.com/accounts/invitations/")
    assert told["sent"] is False
    token = path_of(told).split("/")[-2]
    assert re.fullmatch(r"[\w-]{43}", token)
    assert token not in str(Invitation.objects.values().get())
    assert not User.objects.exists()
    page = Client().get(path_of(told))
    assert "dora@example.com" in page.content.decode()
    assert accept(path_of(told)).status_code == 200
    dora = User.objects.get()
    assert (dora.email, dora.is_staff, dora.is_superuser) == ("dora@example.com", True, False)
    assert [group.name for group in dora.groups.all()] == ["payments"]
    client, _ = sign_in_with_password("dora@example.com", NEW)
    assert client.get("/admin/").status_code == 200
    assert details_of("user.invite") == {"groups": ["payments"], "staff": True}
    made = details_of("user.create")
    assert (made["groups"], made["staff"]) == (["payments"], True)
    assert token not in str(AuditEvent.objects.values())


def test_to_look_spends_nothing_and_tells_nobody(db):
    told = invite()
    for method in ("get", "head", "get"):
        answer = getattr(Client(), method)(path_of(told))
        assert answer.status_code == 200
        assert "no-store" in answer.headers["Cache-Control"]
        assert answer.headers["Referrer-Policy"] == "strict-origin"
        assert answer.headers["X-Robots-Tag"] == "noindex"
    assert not User.objects.exists()
    assert accept(path_of(told)).status_code == 200


def test_it_is_accepted_once(db):
    told = invite()
    accept(path_of(told))
    assert Client().get(path_of(told)).status_code == 410
    assert accept(path_of(told), "another long passphrase").status_code == 410
    assert User.objects.get().check_password(NEW)


def test_a_weak_password_spends_nothing(db):
    told = invite()
    answer = accept(path_of(told), "dora@example.com")
    assert "too similar" in answer.content.decode()
    assert accept(path_of(told), "x" * 5000).status_code == 200
    assert not User.objects.exists()
    assert accept(path_of(told)).status_code == 200
    assert User.objects.exists()


def test_it_ends_by_itself_and_by_the_next_one(db):
    first = invite("--for", "1h")
    second = invite("--for", "1h")
    assert accept(path_of(first)).status_code == 410
    with time_machine.travel(timezone.now() + timedelta(minutes=61)):
        assert accept(path_of(second)).status_code == 410
    assert not User.objects.exists()


@pytest.mark.parametrize("token", ["x", "x" * 43, "x" * 5000, "é" * 43, "%00"])
def test_a_guess_is_no_invitation(db, token):
    invite()
    assert Client().get(f"/accounts/invitations/{token}/").status_code == 410


def test_somebody_who_has_the_address_by_now_keeps_it(db):
    told = invite()
    dora = User.objects.create_user("dora@example.com", "her own passphrase")
    assert accept(path_of(told)).status_code == 410
    dora.refresh_from_db()
    assert dora.check_password("her own passphrase")


@pytest.mark.parametrize(
    "arguments", [("--group", "nowhere"), ("--for", "31d"), ("--for", "1y"), ("--for", "0h")]
)
def test_what_cannot_be_promised_is_refused(db, arguments):
    with pytest.raises(CommandError):
        invite(*arguments)
    assert not Invitation.objects.exists()


def test_nobody_is_invited_twice_over(db):
    User.objects.create_user("dora@example.com", NEW)
    with pytest.raises(CommandError, match="already"):
        invite()


def test_it_needs_its_event(db, unwritable_log):
    told = invite()
    with unwritable_log():
        assert accept(path_of(told)).status_code == 500
    assert not User.objects.exists()
    assert accept(path_of(told)).status_code == 200


def test_it_goes_on_with_a_provider(provider):  # noqa: F811
    """The address at the provider is another, and nobody is trusted for it: the link is what proves."""
    told = invite()
    token = path_of(told).split("/")[-2]
    page = Client().get(path_of(told)).content.decode()
    assert f'name="invitation" value="{token}"' in page
    begun, _ = sign_in(provider, form={"invitation": token}, email="d@elsewhere.example")
    dora = User.objects.get()
    assert begun.client.get("/accounts/").context["user"] == dora
    assert (dora.email, dora.has_usable_password()) == ("dora@example.com", False)
    assert SocialAccount.objects.get().user == dora
    assert details_of("auth.identity_add") == {"provider": "corp", "by": "invitation"}
    # The next one gets no account with the same link.
    answer = Client().post("/accounts/oidc/corp/start/", {"invitation": token})
    assert answer.status_code == 403
    assert User.objects.count() == 1


def test_who_has_an_account_spends_no_invitation(provider):  # noqa: F811
    eve = User.objects.create_user("eve@example.com", NEW)
    SocialAccount.objects.create(user=eve, provider=provider.issuer, uid="0001")
    token = path_of(invite()).split("/")[-2]
    begun, answer = sign_in(provider, form={"invitation": token})
    assert "the invitation stays open" in answer.content.decode()
    assert begun.client.get("/accounts/").status_code == 302
    assert Client().get(f"/accounts/invitations/{token}/").status_code == 200


def test_no_password_is_set_where_they_are_switched_off(db, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"PASSWORD_SIGN_IN": False}
    told = invite()
    assert "new_password1" not in Client().get(path_of(told)).content.decode()
    accept(path_of(told))
    assert not User.objects.exists()


def test_it_is_sent_where_there_is_mail(db, settings, tmp_path):
    for name, value in Env.email_url_config(f"filemail://{tmp_path}").items():
        setattr(settings, name, value)
    # pytest-django has put its own in the place of the backend of the settings.
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    settings.EMAIL_URL = f"filemail://{tmp_path}"
    told = invite()
    assert told["sent"] is True
    (mail,) = tmp_path.iterdir()
    message = message_from_bytes(mail.read_bytes().partition(b"\n-----")[0], policy=policy.default)
    assert message["To"] == "dora@example.com"
    assert told["url"] in message.get_content()


def test_a_mail_server_that_is_away_leaves_the_link(db, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    settings.EMAIL_URL = "smtp://127.0.0.1:1"
    told = invite()
    assert told["sent"] is False
    assert accept(path_of(told)).status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.only_on("postgresql")
def test_of_several_at_once_one_gets_it():
    path = path_of(invite())
    together, answers = threading.Barrier(4), []

    def one():
        together.wait()
        answers.append(accept(path).status_code)
        connection.close()

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 410, 410, 410]
    assert User.objects.count() == 1

"""Who comes by a provider is as much signed in as others: one second factor, one set of sessions."""

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

from secrets_app.models import Principal, SignInSession
from secrets_app.services.audit import OPERATOR
from secrets_app.services.identity import end_tokens
from tests.accounts.sign_in import SECOND_STEP, code_of, set_up_app
from tests.accounts.sign_in import sign_in as sign_in_with_password
from tests.api.test_devices import poll, start
from tests.cast import PASSWORD, Api
from tests.oidc.browser import moves_to, sign_in
from vaultsite.accounts.models import User

VERIFIED = {"email": "dora@example.com", "email_verified": True}


@pytest.fixture
def dora(db):
    return User.objects.create_user("dora@example.com", PASSWORD)


def let_in(client):
    """A device that somebody who is signed in to the pages lets in."""
    codes = start()
    sent = {"user_code": codes["user_code"], "step": "approve"}
    assert "The device is let in" in client.post("/device", sent).content.decode()
    answer = poll(codes["device_code"])
    assert answer.status_code == 200
    return answer.json()


def is_inside(client):
    return client.get("/accounts/").status_code == 200


def is_let_in(tokens):
    api = Api(tokens["access_token"]).get("/v1/auth/me").status_code
    sent = {"refresh_token": tokens["refresh_token"]}
    refreshed = Api().post("/v1/auth/refresh", sent).status_code
    assert api == refreshed
    return api == 200


def test_the_sign_in_page_has_a_password_a_passkey_and_the_provider(provider):
    page = Client().get("/accounts/login/").content.decode()
    assert 'name="password"' in page
    assert "Sign in with a passkey" in page
    assert "Sign in with Corporate login" in page


def test_a_session_by_a_provider_lets_a_device_in_and_all_ends_together(provider, dora):
    begun, _ = sign_in(provider, **VERIFIED)
    tokens = let_in(begun.client)
    session = SignInSession.objects.get()
    assert (session.method, session.second_factor) == ("device", False)
    assert Api(tokens["access_token"]).get("/v1/auth/me").json()["email"] == "dora@example.com"
    assert is_inside(begun.client)
    end_tokens(principal_id=Principal.objects.get(user=dora).pk, actor=OPERATOR)
    assert not is_inside(begun.client)
    assert not is_let_in(tokens)


def test_the_code_that_comes_after_a_provider_counts_for_a_device(provider, dora):
    client, _ = sign_in_with_password("dora@example.com")
    secret = set_up_app(client)
    begun, answer = sign_in(provider, **VERIFIED)
    assert moves_to(answer) == SECOND_STEP
    # Half signed in is no one yet.
    assert begun.client.get("/device").status_code == 302
    begun.client.post(SECOND_STEP, {"code": code_of(secret, steps=1)})
    let_in(begun.client)
    assert SignInSession.objects.get().second_factor


def test_a_providers_factor_that_is_trusted_counts_for_a_device(provider, dora, settings):
    client, _ = sign_in_with_password("dora@example.com")
    set_up_app(client)
    settings.OIDC_VARIABLES = settings.OIDC_VARIABLES | {"OIDC_CORP_SECOND_FACTOR": "provider"}
    begun, _ = sign_in(provider, **VERIFIED)
    let_in(begun.client)
    assert SignInSession.objects.get().second_factor


def test_a_removed_identity_takes_the_devices_along_that_it_let_in(provider, dora):
    begun, _ = sign_in(provider, **VERIFIED)
    tokens = let_in(begun.client)
    out = StringIO()
    arguments = ("dora@example.com", "--remove", provider.issuer, "0001", "--json")
    call_command("identity", *arguments, stdout=out)
    assert json.loads(out.getvalue())["identities"] == []
    assert not is_inside(begun.client)
    assert not is_let_in(tokens)

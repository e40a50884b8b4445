"""Operators link identities, take them away, and switch people off."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from secrets_app.models import AuditEvent
from tests import cast
from tests.accounts.sign_in import sign_in as sign_in_with_password
from tests.api.test_devices import poll, start
from tests.oidc.browser import sign_in
from tests.oidc.conftest import _asked_anew, _provider, provider  # noqa: F401


def run(name, *arguments):
    out = StringIO()
    call_command(name, *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def last_event():
    event = AuditEvent.objects.order_by("-id")[0]
    return event.action, event.actor_type, event.resource_id


def test_an_identity_is_added_and_removed(provider, alice):  # noqa: F811
    told = run("identity", "alice@example.com", "--add", "corp", "0001")
    assert told["identities"] == [{"issuer": provider.issuer, "subject": "0001"}]
    assert last_event() == ("auth.identity_add", "operator", alice.principal.pk)
    begun, _ = sign_in(provider)
    assert begun.client.get("/accounts/").status_code == 200
    run("identity", "alice@example.com", "--remove", provider.issuer, "0001")
    assert last_event() == ("auth.identity_remove", "operator", alice.principal.pk)
    assert begun.client.get("/accounts/").status_code == 302
    begun, _ = sign_in(provider)
    assert begun.client.get("/accounts/").status_code == 302


def test_groups_of_a_removed_identity_go_with_it(provider, alice, settings):  # noqa: F811
    more = {"OIDC_CORP_GROUPS_CLAIM": "groups", "OIDC_CORP_GROUP_PREFIX": "corp-"}
    settings.OIDC_VARIABLES = settings.OIDC_VARIABLES | more
    run("identity", "alice@example.com", "--add", "corp", "0001")
    sign_in(provider, groups=["sales"])
    assert alice.user.groups.get().name == "corp-sales"
    run("identity", "alice@example.com", "--remove", provider.issuer, "0001")
    assert not alice.user.groups.exists()


def test_an_identity_has_one_account(provider, alice, bob):  # noqa: F811
    run("identity", "alice@example.com", "--add", "corp", "0001")
    with pytest.raises(CommandError, match="already"):
        run("identity", "bob@example.com", "--add", "corp", "0001")
    for subject in ("", " x", "x" * 192):
        with pytest.raises(CommandError, match="no subject"):
            run("identity", "bob@example.com", "--add", "corp", subject)
    with pytest.raises(CommandError, match="no such provider"):
        run("identity", "bob@example.com", "--add", "nowhere", "0001")
    with pytest.raises(CommandError, match="no such identity"):
        run("identity", "bob@example.com", "--remove", provider.issuer, "0001")


def test_who_is_switched_off_is_gone_from_every_door(alice, vault):
    client, _ = sign_in_with_password("alice@example.com")
    api, key = alice.api, cast.Api(alice.raw_key)
    assert [each.get("/v1/vaults").status_code for each in (api, key)] == [200, 200]
    call_command("deactivate_user", "alice@example.com", stdout=StringIO())
    assert last_event()[1:] == ("operator", alice.principal.pk)
    assert [each.get("/v1/vaults").status_code for each in (api, key)] == [401, 401]
    assert client.get("/accounts/").status_code == 302
    call_command("deactivate_user", "alice@example.com", "--undo", stdout=StringIO())
    # What has ended does not come back; the key does.
    assert [each.get("/v1/vaults").status_code for each in (api, key)] == [401, 200]
    assert client.get("/accounts/").status_code == 302


def test_a_device_that_was_let_in_from_there_goes_with_the_identity(provider, alice):  # noqa: F811
    run("identity", "alice@example.com", "--add", "corp", "0001")
    begun, _ = sign_in(provider)
    codes = start()
    sent = {"user_code": codes["user_code"], "step": "approve"}
    assert begun.client.post("/device", sent).status_code == 200
    device = cast.Api(poll(codes["device_code"]).json()["access_token"])
    assert device.get("/v1/auth/me").status_code == 200
    run("identity", "alice@example.com", "--remove", provider.issuer, "0001")
    assert device.get("/v1/auth/me").status_code == 401

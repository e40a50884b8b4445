"""Groups of a provider: what it gives, it takes; what an operator gave, stays."""

from io import StringIO

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command

from secrets_app.models import AuditEvent
from tests import cast
from tests.oidc.browser import sign_in
from vaultsite.accounts.models import User

DORA = {"email": "dora@example.com", "email_verified": True}


@pytest.fixture
def dora(db):
    return User.objects.create_user("dora@example.com", cast.PASSWORD)


@pytest.fixture(autouse=True)
def _mapped(provider, settings):
    settings.OIDC_VARIABLES = settings.OIDC_VARIABLES | {
        "OIDC_CORP_GROUPS_CLAIM": "groups",
        "OIDC_CORP_GROUP_MAP": "/Eng/Payments=payments,ops-guid=operators",
        "OIDC_CORP_GROUP_PREFIX": "corp-",
    }


def groups_of(user):
    return set(user.groups.values_list("name", flat=True))


def events(action):
    found = AuditEvent.objects.filter(action=action).order_by("id")
    return [event.details for event in found]


def run(*arguments):
    call_command(*arguments, stdout=StringIO())


def test_groups_are_refreshed_at_every_sign_in(provider, dora):
    sign_in(provider, groups=["/Eng/Payments", "sales"], **DORA)
    assert groups_of(dora) == {"payments", "corp-sales"}
    assert sorted(each["group"] for each in events("group.add")) == ["corp-sales", "payments"]
    assert {each["provider"] for each in events("group.add")} == {"corp"}
    sign_in(provider, groups=["sales"], **DORA)
    assert groups_of(dora) == {"corp-sales"}
    assert events("group.remove") == [{"group": "payments", "provider": "corp"}]
    sign_in(provider, groups=["sales"], **DORA)
    assert len(events("group.add")) == 2


def test_no_claim_is_no_group(provider, dora):
    sign_in(provider, groups=["sales"], **DORA)
    sign_in(provider, **DORA)
    assert groups_of(dora) == set()


def test_what_an_operator_gave_stays(provider, dora):
    run("group", "payments", "--add", "dora@example.com")
    sign_in(provider, groups=["/Eng/Payments"], **DORA)
    sign_in(provider, groups=[], **DORA)
    assert groups_of(dora) == {"payments"}


def test_an_operator_can_take_a_membership_over(provider, dora):
    sign_in(provider, groups=["sales"], **DORA)
    run("group", "corp-sales", "--add", "dora@example.com")
    sign_in(provider, groups=[], **DORA)
    assert groups_of(dora) == {"corp-sales"}


def test_a_group_of_two_providers_stays_while_one_gives_it(provider, other, dora, settings):
    settings.OIDC_VARIABLES = settings.OIDC_VARIABLES | {
        "OIDC_OTHER_GROUPS_CLAIM": "roles",
        "OIDC_OTHER_GROUP_MAP": "pay=payments",
    }
    sign_in(provider, groups=["/Eng/Payments"], **DORA)
    sign_in(other, provider_id="other", sub="x", roles=["pay"], **DORA)
    sign_in(provider, groups=[], **DORA)
    assert groups_of(dora) == {"payments"}
    sign_in(other, provider_id="other", sub="x", roles=[], **DORA)
    assert groups_of(dora) == set()
    assert len(events("group.add")) == len(events("group.remove")) == 1


def test_a_policy_for_the_group_begins_and_ends_with_it(provider, dora, alice, vault):
    from secrets_app.models import Policy
    from secrets_app.services.identity import issue_token, principal_for_user

    sign_in(provider, groups=["sales"], **DORA)
    group = Group.objects.get(name="corp-sales")
    Policy.objects.create(
        vault=vault, group=group, pattern="**", permissions=["read"], created_by=vault.owner
    )
    alice.api.put(cast.secret_url(vault), cast.body())
    token = issue_token(principal=principal_for_user(dora), api_key=None, lifetime_s=900)
    api = cast.Api(token.access_token)
    assert api.get(cast.secret_url(vault)).status_code == 200
    sign_in(provider, groups=[], **DORA)
    assert api.get(cast.secret_url(vault)).status_code == 403


@pytest.mark.parametrize("name", ["operators", "payments", "admin", "superuser", "staff"])
def test_a_provider_group_with_the_name_of_ours_is_not_ours(provider, dora, name):
    run("group", name, "--role", "operator")
    sign_in(provider, groups=[name], **DORA)
    dora.refresh_from_db()
    assert name not in groups_of(dora)
    assert not dora.get_all_permissions()
    assert (dora.is_staff, dora.is_superuser) == (False, False)


def test_a_prefix_hands_out_no_role(provider, dora):
    """Whoever may make groups at the provider must not make themselves an operator."""
    run("group", "corp-admins", "--role", "operator")
    sign_in(provider, groups=["admins"], **DORA)
    assert groups_of(dora) == set()


def test_a_prefix_leads_to_no_group_of_the_map(provider, dora, settings):
    """That the map leads one group to a role must not open it to whoever can name another one so."""
    settings.OIDC_VARIABLES = settings.OIDC_VARIABLES | {
        "OIDC_CORP_GROUP_MAP": "ops-guid=corp-admins,/Eng/Payments=corp-payments",
    }
    run("group", "corp-admins", "--role", "operator")
    sign_in(provider, groups=["admins", "payments", "sales"], **DORA)
    assert groups_of(dora) == {"corp-sales"}
    sign_in(provider, groups=["ops-guid", "payments"], **DORA)
    assert groups_of(dora) == {"corp-admins"}


def test_the_map_may_hand_out_a_role(provider, dora):
    run("group", "operators", "--role", "operator")
    sign_in(provider, groups=["ops-guid"], **DORA)
    assert groups_of(dora) == {"operators"}


@pytest.mark.parametrize("claim", ["sales", {"sales": 1}, [["sales"]], [1], ["g"] * 501, None])
def test_a_malformed_or_huge_claim_refuses_the_sign_in(provider, dora, claim):
    sign_in(provider, groups=["sales"], **DORA)
    provider_claims = {"groups": claim} if claim is not None else {"groups": {}}
    begun, _ = sign_in(provider, **provider_claims, **DORA)
    assert begun.client.get("/accounts/").status_code == 302
    assert events("auth.failure")[-1]["reason"] == "bad_groups"
    assert groups_of(dora) == {"corp-sales"}


def test_names_that_cannot_be_groups_are_left_out(provider, dora):
    sign_in(provider, groups=["", "x" * 146, "a\nb", "ok"], **DORA)
    assert groups_of(dora) == {"corp-ok"}

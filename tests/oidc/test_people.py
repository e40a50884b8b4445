"""Whose account it is: an issuer and a subject, and an address only once and only from who may say it."""

import threading

import pytest
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.db import connection
from django.test import Client

from secrets_app.models import AuditEvent
from tests.accounts.sign_in import SECOND_STEP, code_of, set_up_app
from tests.accounts.sign_in import sign_in as sign_in_with_password
from tests.cast import PASSWORD
from tests.oidc.browser import begin, moves_to, sign_in
from tests.oidc.scripted import CLIENT_SECRET, signed
from vaultsite.accounts.models import User

DORA = "dora@example.com"
VERIFIED = {"email": DORA, "email_verified": True}


@pytest.fixture
def dora(db):
    return User.objects.create_user("dora@example.com", PASSWORD)


def person_in(client):
    context = client.get("/accounts/").context
    return None if context is None else context["user"]


def reason():
    return AuditEvent.objects.filter(action="auth.failure").order_by("-id")[0].details["reason"]


def actions():
    return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


def test_a_verified_address_of_a_trusted_domain_links_once(provider, dora):
    begun, answer = sign_in(provider, **VERIFIED | {"email": "DORA@Example.com"})
    assert moves_to(answer) == "/accounts/"
    assert person_in(begun.client) == dora
    row = SocialAccount.objects.get()
    assert (row.user, row.provider, row.uid) == (dora, provider.issuer, "0001")
    assert row.extra_data == {}
    assert not SocialToken.objects.exists()
    assert not SocialApp.objects.exists()
    event = AuditEvent.objects.get(action="auth.identity_add")
    assert event.details == {"provider": "corp", "by": "address"}
    assert event.actor_id == dora.principal.pk


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "dora@example.com"},
        {"email": "dora@example.com", "email_verified": False},
        {"email": "dora@example.com", "email_verified": "false"},
        {"email": "dora@example.com", "email_verified": ["true"]},
        {"email": "dora@example.com", "email_verified": 1},
        {"email": ["dora@example.com"], "email_verified": True},
        {"email": "dora@example.com\n", "email_verified": True},
        {"email": "dora@example.com.evil.example", "email_verified": True},
        {"email": "dora@evil.example", "email_verified": True},
        {"email": "dora@sub.example.com", "email_verified": True},
        {"email": '"dora@example.com"@evil.example', "email_verified": True},
        {"email": "dora@\uff45xample.com", "email_verified": True},
        {"preferred_username": "dora@example.com", "upn": "dora@example.com"},
        {},
    ],
)
def test_an_address_that_is_not_vouched_for_links_nothing(provider, dora, claims):
    begun, answer = sign_in(provider, **claims)
    assert "ask whoever runs this service for an invitation" in answer.content.decode().lower()
    assert person_in(begun.client) is None
    assert reason() == "unknown_person"
    assert not SocialAccount.objects.exists()


def test_after_that_the_subject_counts_and_not_the_address(provider, dora):
    eve = User.objects.create_user("eve@example.com", PASSWORD)
    sign_in(provider, **VERIFIED)
    begun, _ = sign_in(provider, email="eve@example.com", email_verified=True)
    assert person_in(begun.client) == dora
    begun, _ = sign_in(provider)
    assert person_in(begun.client) == dora
    dora.refresh_from_db()
    assert dora.email == "dora@example.com"
    assert not SocialAccount.objects.filter(user=eve).exists()


def test_who_gets_the_address_later_gets_no_account_with_it(provider, dora):
    """The address is somebody else's by now: another subject."""
    sign_in(provider, **VERIFIED)
    begun, answer = sign_in(provider, sub="0002", **VERIFIED)
    assert person_in(begun.client) is None
    assert "another identity" in answer.content.decode()
    assert reason() == "address_of_another"


def test_one_address_at_two_trusted_providers_is_one_person(provider, other, dora):
    sign_in(provider, **VERIFIED)
    begun, _ = sign_in(other, provider_id="other", sub="of-the-other", **VERIFIED)
    assert person_in(begun.client) == dora
    assert SocialAccount.objects.count() == 2


def test_a_provider_that_is_not_trusted_for_the_domain_links_nothing(
    provider, other, dora, settings
):
    variables = {**settings.OIDC_VARIABLES, "OIDC_OTHER_TRUSTED_DOMAINS": "other.example"}
    settings.OIDC_VARIABLES = variables
    sign_in(provider, **VERIFIED)
    begun, _ = sign_in(other, provider_id="other", **VERIFIED)
    assert person_in(begun.client) is None
    assert SocialAccount.objects.count() == 1


def test_a_subject_is_one_of_its_issuer(provider, other, dora):
    """The other provider has a subject of the same name, and whoever that is gets nothing."""
    sign_in(provider, **VERIFIED)
    begun, _ = sign_in(other, provider_id="other", sub="0001")
    assert person_in(begun.client) is None


def test_another_issuer_under_the_same_name_inherits_nobody(provider, other, dora, settings):
    sign_in(provider, **VERIFIED)
    settings.OIDC_PROVIDERS = ["corp"]
    settings.OIDC_VARIABLES = other.variables("corp")
    begun, _ = sign_in(other, sub="0001")
    assert person_in(begun.client) is None


def test_subjects_differ_in_upper_and_lower_case(provider, dora):
    sign_in(provider, sub="abc", **VERIFIED)
    begun, _ = sign_in(provider, sub="ABC")
    assert person_in(begun.client) is None


def test_nobody_new_gets_an_account_unless_the_settings_say_so(provider, settings):
    begun, _ = sign_in(provider, **VERIFIED)
    assert person_in(begun.client) is None
    assert not User.objects.exists()
    settings.OIDC_VARIABLES = settings.OIDC_VARIABLES | {"OIDC_CORP_PROVISION": "on"}
    begun, _ = sign_in(provider, name="Dora", **VERIFIED)
    user = User.objects.get()
    assert person_in(begun.client) == user
    assert (user.email, user.display_name) == ("dora@example.com", "Dora")
    assert (user.is_staff, user.is_superuser, user.has_usable_password()) == (False, False, False)
    assert actions()[-3:] == ["user.create", "auth.identity_add", "auth.success"]
    # Of another domain still nobody.
    begun, _ = sign_in(provider, sub="0002", email="x@evil.example", email_verified=True)
    assert User.objects.count() == 1


def test_required_claims_keep_others_out(provider, dora, settings):
    required = {"OIDC_CORP_REQUIRED_CLAIMS": "hd=example.com"}
    settings.OIDC_VARIABLES = settings.OIDC_VARIABLES | required
    for claims in ({}, {"hd": "evil.example"}, {"hd": ["example.com"]}):
        sign_in(provider, **VERIFIED, **claims)
        assert reason() == "required_claim"
    begun, _ = sign_in(provider, hd="example.com", **VERIFIED)
    assert person_in(begun.client) == dora


def test_claims_of_userinfo_count_for_the_same_subject_alone(provider, dora, settings):
    settings.OIDC_VARIABLES = settings.OIDC_VARIABLES | {"OIDC_CORP_USERINFO": "on"}
    provider.userinfo = {"sub": "0002", **VERIFIED}
    sign_in(provider)
    assert reason() == "other_subject"
    provider.userinfo = {"sub": "0001", **VERIFIED}
    begun, _ = sign_in(provider)
    assert person_in(begun.client) == dora


OTHERS = "mallory@example.com"


@pytest.mark.parametrize(
    ("token", "userinfo"),
    [
        ({"email": DORA}, {"email": OTHERS, "email_verified": True}),
        ({"email_verified": True}, {"email": DORA, "email_verified": False}),
        ({"email": DORA, "email_verified": False}, VERIFIED),
        ({"email": DORA}, {"email": OTHERS}),
    ],
)
def test_that_one_address_is_verified_says_nothing_of_another(
    provider, dora, settings, token, userinfo
):
    """A provider may let people write what is in the ID token, and vouch for the address elsewhere."""
    settings.OIDC_VARIABLES = settings.OIDC_VARIABLES | {"OIDC_CORP_USERINFO": "on"}
    provider.userinfo = {"sub": "0001", **userinfo}
    begun, _ = sign_in(provider, **token)
    assert person_in(begun.client) is None
    assert reason() == "unknown_person"


@pytest.mark.parametrize(
    ("token", "userinfo"),
    [
        ({"email": DORA}, VERIFIED),
        ({"email_verified": True}, {"email": DORA}),
        (VERIFIED, {"email": OTHERS, "email_verified": False}),
    ],
)
def test_an_address_may_be_in_one_and_vouched_for_in_the_other(
    provider, dora, settings, token, userinfo
):
    settings.OIDC_VARIABLES = settings.OIDC_VARIABLES | {"OIDC_CORP_USERINFO": "on"}
    provider.userinfo = {"sub": "0001", **userinfo}
    begun, _ = sign_in(provider, **token)
    assert person_in(begun.client) == dora


def test_without_its_event_nobody_gets_in(provider, dora, unwritable_log):
    with unwritable_log():
        begun, answer = sign_in(provider, **VERIFIED)
    assert answer.status_code == 500
    assert person_in(begun.client) is None
    assert not SocialAccount.objects.exists()


def test_a_second_factor_set_up_here_is_asked_for(provider, dora):
    client, _ = sign_in_with_password("dora@example.com")
    secret = set_up_app(client)
    begun, answer = sign_in(provider, form={"next": "/accounts/sessions/"}, **VERIFIED)
    assert moves_to(answer) == SECOND_STEP
    assert person_in(begun.client) is None
    answer = begun.client.post(SECOND_STEP, {"code": code_of(secret, steps=1)})
    assert answer.headers["Location"] == "/accounts/sessions/"
    assert person_in(begun.client) == dora
    event = AuditEvent.objects.filter(action="auth.success").order_by("-id")[0]
    assert event.details == {"method": "oidc_corp_totp"}


def test_a_second_factor_of_the_provider_is_trusted_where_the_settings_say_so(
    provider, dora, settings
):
    client, _ = sign_in_with_password("dora@example.com")
    set_up_app(client)
    settings.SECOND_FACTOR = "everybody"
    settings.OIDC_VARIABLES = settings.OIDC_VARIABLES | {"OIDC_CORP_SECOND_FACTOR": "provider"}
    begun, answer = sign_in(provider, **VERIFIED)
    assert moves_to(answer) == "/accounts/"
    assert person_in(begun.client) == dora


def test_who_must_have_a_factor_must_set_one_up_first(provider, dora, settings):
    settings.SECOND_FACTOR = "everybody"
    begun, _ = sign_in(provider, **VERIFIED)
    assert begun.client.get("/accounts/").headers["Location"] == "/accounts/2fa/"


def test_the_buttons_come_in_the_order_of_the_settings(provider, other, settings):
    def buttons():
        page = Client().get("/accounts/login/").content.decode()
        found = [page.find(f"/accounts/oidc/{name}/start/") for name in ("corp", "other")]
        assert -1 not in found
        return found

    assert buttons() == sorted(buttons())
    settings.OIDC_PROVIDERS = ["other", "corp"]
    assert buttons() == sorted(buttons(), reverse=True)


def test_a_page_to_go_to_is_kept_over_the_way_to_the_provider(provider, dora):
    page = Client().get("/accounts/login/?next=/accounts/sessions/").content.decode()
    form = page[page.index("/accounts/oidc/corp/start/") :].partition("</form>")[0]
    assert 'name="next" value="/accounts/sessions/"' in form


def test_a_provider_that_is_not_named_is_not_there(provider):
    assert Client().post("/accounts/oidc/evil/start/").status_code == 404
    assert Client().get("/accounts/oidc/evil/callback/").status_code == 404


@pytest.mark.django_db(transaction=True)
@pytest.mark.only_on("postgresql")
def test_coming_twice_at_once_is_one_account(provider, settings):
    settings.OIDC_VARIABLES = settings.OIDC_VARIABLES | {"OIDC_CORP_PROVISION": "on"}
    attempts = []
    for n in range(4):
        begun = begin()
        token = signed(provider.claims(begun.nonce, **VERIFIED))
        provider.codes[f"code-{n}"] = (token, begun.asked["code_challenge"])
        attempts.append((begun, f"code-{n}"))
    together, answers = threading.Barrier(4), []

    def come_back(begun, code):
        together.wait()
        answers.append(begun.come_back(code=code).status_code)
        connection.close()

    threads = [threading.Thread(target=come_back, args=each) for each in attempts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 4
    assert User.objects.count() == SocialAccount.objects.count() == 1


def test_the_client_secret_is_in_no_representation(provider):
    from vaultsite.oidc.providers import providers

    assert CLIENT_SECRET not in repr(providers())
    assert "SCRIPTED_SECRET" not in repr(providers())


@pytest.mark.parametrize("email", ["dora@notexample.com", "dora@sub.example.com"])
def test_a_domain_that_only_ends_alike_is_not_trusted(provider, settings, email):
    settings.OIDC_VARIABLES = settings.OIDC_VARIABLES | {"OIDC_CORP_PROVISION": "on"}
    User.objects.create_user("dora@sub.example.com", PASSWORD)
    begun, _ = sign_in(provider, email=email, email_verified=True)
    assert person_in(begun.client) is None
    assert User.objects.count() == 1

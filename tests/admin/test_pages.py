"""A superuser walks through every page of the admin; no page shows a value or its ciphertext."""

import base64
import re

import pytest
from django.contrib.admin.sites import site
from django.urls import reverse

from secrets_app.models import (
    ApiKey,
    AssertionUse,
    AuditEvent,
    AuditKey,
    AuditSeal,
    DeviceRequest,
    IdempotencyKey,
    Secret,
    SecretVersion,
    SignInSession,
    SignInStep,
    VaultKey,
)
from secrets_app.services.audit.seal import seal_events
from tests.cast import PASSWORD, Api, allow, body, secret_url
from tests.issuers import claims_of, jwk, sign
from vaultsite.accounts.models import User

CANARY = "canary-" + "8d41f0"
MODELS = [model for model in site._registry if model._meta.app_label == "secrets_app"]


@pytest.fixture
def filled(alice, bob, robot, vault):
    """A row in every table."""
    allow(bob, vault, "a/**", "read")
    made_with_a_token(alice)
    headers = {"Idempotency-Key": "once"}
    alice.api.put(secret_url(vault), body(CANARY, metadata={"tags": ["x"]}), headers=headers)
    settings = secret_url(vault).replace("/secrets/", "/secret-settings/")
    alice.api.put(settings, {"custom_metadata": {"team": "data"}})
    alice.api.get(secret_url(vault))
    Api(alice.token).delete("/v1/auth/token")
    Api().post("/v1/auth/token", {"email": "alice@example.com", "password": PASSWORD})
    Api().post("/v1/auth/device/code", {"client_id": "cli"})
    seal_events()


def made_with_a_token(alice):
    """An agent's identity, and a sign-in by it."""
    made = alice.api.post("/v1/agents", {"name": "ci"}).json()["agent"]["id"]
    keys, claims = {"keys": [jwk("ed25519")]}, claims_of("https://i.example.com", jti="j")
    fields = {"name": "a", "issuer": claims["iss"], "audience": claims["aud"], "jwks": keys}
    fields |= {"claims": {"sub": "w"}, "single_use": True}
    assert alice.api.post(f"/v1/agents/{made}/identities", fields).status_code == 201
    content = {"agent_id": made, "assertion": sign("ed25519", claims)}
    assert Api().post("/v1/auth/agent-token", content).status_code == 200


def forbidden():
    """Everything that must not be on a page, in the ways it could be written."""
    sealed = SecretVersion.objects.get().value.envelope
    wrapped = bytes(VaultKey.objects.get().wrapped)
    texts = [CANARY, CANARY.encode().hex(), base64.b64encode(CANARY.encode()).decode()]
    texts += ApiKey.objects.values_list("digest", flat=True)
    texts += IdempotencyKey.objects.values_list("key_digest", flat=True)
    texts += SignInSession.objects.get().handle_digest, SignInSession.objects.get().refresh_digest
    device = DeviceRequest.objects.get()
    texts += device.device_digest, device.user_code_digest
    texts += AssertionUse.objects.values_list("assertion_digest", flat=True)
    texts += User.objects.values_list("password", flat=True)
    raws = [sealed, wrapped, bytes(IdempotencyKey.objects.get().request_digest)]
    raws += [bytes(AuditKey.objects.get().wrapped), bytes(AuditSeal.objects.first().signature)]
    raws += [bytes(mac) for mac in AuditEvent.objects.values_list("mac", flat=True)[:3]]
    for raw in raws:
        texts += [raw[20:40].hex(), repr(raw[20:40])[2:-1], base64.b64encode(raw[:30]).decode()]
    return texts


def test_every_model_is_registered():
    from django.apps import apps

    # Steps of a sign-in are for minutes, and have nothing for an operator.
    assert {*MODELS, SignInStep} == set(apps.get_app_config("secrets_app").get_models())


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_each_model_can_be_listed_searched_and_looked_at_and_shows_no_value(model, root, filled):
    name = f"admin:secrets_app_{model._meta.model_name}"
    instance = model.objects.all()[0]
    pages = [
        root.get(reverse(f"{name}_changelist")),
        root.get(reverse(f"{name}_changelist"), {"q": "a"}),
        root.get(reverse(f"{name}_change", args=[instance.pk])),
        root.get(reverse(f"{name}_history", args=[instance.pk])),
    ]
    for page in pages:
        assert page.status_code == 200
        text = page.content.decode()
        for secret in forbidden():
            assert secret not in text
    assert site._registry[model].search_fields
    assert str(instance.pk) in pages[0].content.decode() or model.__name__ == "AuditEvent"


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_nothing_can_be_added_changed_or_deleted_by_a_form(model, root, filled):
    name = f"admin:secrets_app_{model._meta.model_name}"
    instance = model.objects.all()[0]
    assert root.get(reverse(f"{name}_add")).status_code == 403
    assert root.post(reverse(f"{name}_delete", args=[instance.pk])).status_code == 403
    assert root.post(reverse(f"{name}_change", args=[instance.pk]), {}).status_code == 403


@pytest.mark.parametrize("name", ["accounts_user", "auth_group"])
def test_people_and_groups_can_be_looked_at_and_not_changed(root, alice, name):
    from django.contrib.auth.models import Group

    instance = User.objects.get(email="alice@example.com")
    if name == "auth_group":
        instance = Group.objects.create(name="team")
    page = root.get(reverse(f"admin:{name}_changelist"))
    assert str(instance) in page.content.decode()
    page = root.get(reverse(f"admin:{name}_change", args=[instance.pk]))
    assert page.status_code == 200
    assert "md5$" not in page.content.decode()
    assert root.get(reverse(f"admin:{name}_add")).status_code == 403
    for view in ("change", "delete"):
        url = reverse(f"admin:{name}_{view}", args=[instance.pk])
        assert root.post(url, {}).status_code == 403


def test_the_admin_asks_for_a_sign_in(client, db):
    response = client.get("/admin/")
    assert response.status_code == 302
    assert "/admin/login" in response["Location"]


def test_the_pages_around_the_lists_work(root, filled):
    for path in ("/admin/secrets_app/", "/admin/search/?s=vault", "/accounts/password/"):
        page = root.get(path)
        assert page.status_code == 200, path
        assert not any(secret in page.content.decode() for secret in forbidden())


def test_the_breadcrumb_shows_a_path_as_it_is(root, alice, vault):
    """A path is not the same with a capital letter; the names of the lists have one."""
    alice.api.put(secret_url(vault, "app/api/key2"), body("x"))
    secret = Secret.objects.get()
    for page in (
        root.get(reverse("admin:secrets_app_secret_change", args=[secret.pk])),
        root.get(reverse("admin:secrets_app_secret_history", args=[secret.pk])),
    ):
        text = page.content.decode()
        assert "App/api" not in text
        crumbs = re.search(r"<a[^>]*>\s*Secrets\s*</a>.*?>\s*app/api/key2\s*</a>", text, re.DOTALL)
        assert crumbs is not None

"""After keys were rotated, a read gives the value and a save seals it once."""

import json

import pytest
from django.core.exceptions import FieldError
from django.db import transaction

from secrets_app.crypto.plaintext import Plaintext
from secrets_app.models import SecretVersion, VaultKey
from secrets_app.providers.local import generate_root_key_text
from secrets_app.services.secrets.reveal import open_version
from tests.cast import body, secret_url
from tests.every_action import run

VALUE = "as it was, ünï"


def rotate(settings, monkeypatch, vault):
    """New root key, new vault key, everything rewrapped; the old root key is retired."""
    old = settings.SECRETS_APP["ROOT_KEY_URLS"]
    monkeypatch.setenv("NEXT_ROOT_KEY", generate_root_key_text())
    settings.SECRETS_APP = settings.SECRETS_APP | {"ROOT_KEY_URLS": ["env:NEXT_ROOT_KEY", *old]}
    run("rotate_kek", vault.pk)
    run("rotate_root", "--all")
    settings.SECRETS_APP = settings.SECRETS_APP | {"ROOT_KEY_URLS": ["env:NEXT_ROOT_KEY"]}


def test_a_read_after_a_rotation_gives_the_value_and_never_ciphertext(
    alice, vault, settings, monkeypatch
):
    """Issues 13 and 46 of django-fernet-encrypted-fields"""
    for path in ("a", "b/c"):
        alice.api.put(secret_url(vault, path), body(VALUE))
    sealed = {bytes(row.value.envelope) for row in SecretVersion.objects.all()}
    rotate(settings, monkeypatch, vault)
    for path in ("a", "b/c"):
        assert alice.api.get(secret_url(vault, path)).json()["value"] == VALUE
        assert alice.api.get(f"/v1/vaults/{vault.pk}/secret-version/{path}/1").json()["value"] == (
            VALUE
        )
    paths = {"paths": ["a", "b/c"]}
    answer = alice.api.post(f"/v1/vaults/{vault.pk}/secrets:batchRead", paths).json()
    assert [each["value"] for each in answer["secrets"]] == [VALUE, VALUE]
    assert sealed.isdisjoint(bytes(row.value.envelope) for row in SecretVersion.objects.all())
    assert VaultKey.objects.filter(state="active").count() == 1
    assert json.loads(run("verify_vault", "--json"))["findings"] == []


def test_saving_a_loaded_row_never_seals_twice(alice, vault, settings, monkeypatch):
    """Issues 13 and 46 of django-fernet-encrypted-fields"""
    alice.api.put(secret_url(vault), body(VALUE))
    rotate(settings, monkeypatch, vault)
    version = SecretVersion.objects.select_related("secret", "vault_key").get()
    before = bytes(version.value.envelope)
    for _ in range(3):
        version.save()
        version.refresh_from_db()
    version.save(update_fields=["value"])
    assert bytes(SecretVersion.objects.get().value.envelope) == before
    assert alice.api.get(secret_url(vault)).json()["value"] == VALUE


def test_a_key_that_is_gone_is_an_error_and_never_the_stored_bytes(
    alice, vault, settings, monkeypatch
):
    """Issues 13 and 46 of django-fernet-encrypted-fields: there, what did not open was given out."""
    alice.api.put(secret_url(vault), body(VALUE))
    monkeypatch.setenv("OTHER_ROOT_KEY", generate_root_key_text())
    settings.SECRETS_APP = settings.SECRETS_APP | {"ROOT_KEY_URLS": ["env:OTHER_ROOT_KEY"]}
    response = alice.api.get(secret_url(vault))
    assert response.status_code == 500
    assert "value" not in response.json()


def test_plaintext_reaches_a_row_by_no_other_way(alice, vault):
    """Issues 13 and 46 of django-fernet-encrypted-fields: bulk updates left plaintext behind."""
    alice.api.put(secret_url(vault), body(VALUE))
    for attempt in (
        lambda: SecretVersion.objects.update(value="plain"),
        lambda: SecretVersion.objects.update(value=Plaintext(b"plain")),
        lambda: SecretVersion.objects.filter(value="plain").exists(),
    ):
        with pytest.raises(FieldError), transaction.atomic():
            attempt()
    version = SecretVersion.objects.select_related("secret", "vault_key").get()
    assert open_version(version).reveal() == VALUE.encode()

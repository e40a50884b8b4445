import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command

from secrets_app.models import AuditEvent, Secret, SecretVersion, Vault, VaultKey
from tests.cast import allow, body, secret_url, vault_of
from tests.services.test_purge import NOTHING


def purge(*arguments):
    out = StringIO()
    call_command("purge_secrets", "--json", *arguments, stdout=out)
    return json.loads(out.getvalue())


def make_older(model, days, **which):
    model.objects.filter(**which).update(deleted_at=datetime.now(UTC) - timedelta(days=days))


@pytest.fixture
def filled(alice, vault):
    for path in ("a", "b", "c"):
        alice.api.put(secret_url(vault, path), body(path))
    return vault


def test_a_deleted_vault_is_404_on_every_route(alice, bob, filled):
    allow(bob, filled, "**", "read")
    response = alice.api.delete(f"/v1/vaults/{filled.id}")
    assert (response.status_code, response.content) == (204, b"")
    for who in (alice, bob):
        assert who.api.get(secret_url(filled, "a")).status_code == 404
        assert who.api.get(f"/v1/vaults/{filled.id}").status_code == 404
        assert who.api.get("/v1/vaults").json() == {"vaults": []}
    assert alice.api.delete(f"/v1/vaults/{filled.id}").status_code == 404
    assert AuditEvent.objects.get(action="vault.delete").resource_id == filled.id


def test_deleting_a_vault_is_for_its_owner_alone(bob, filled):
    allow(bob, filled, "**", "read", "write", "delete")
    assert bob.api.delete(f"/v1/vaults/{filled.id}").status_code == 403
    event = AuditEvent.objects.get(outcome="denied")
    assert (event.action, event.details["reason"]) == ("vault.delete", "not_the_owner")


def test_within_retention_nothing_is_purged(alice, filled):
    alice.api.delete(f"/v1/vaults/{filled.id}")
    make_older(Vault, 29)
    assert purge() == NOTHING
    assert Secret.objects.count() == 3


def test_after_retention_the_keys_are_destroyed_and_no_copy_of_the_rows_opens(alice, filled):
    from secrets_app.errors import CryptoError
    from secrets_app.services.secrets.reveal import open_version

    copy = list(SecretVersion.objects.select_related("secret", "vault_key"))
    assert {open_version(version).reveal() for version in copy} == {b"a", b"b", b"c"}
    copied_rows = list(SecretVersion.objects.values())
    copied_secrets = list(Secret.objects.values())
    alice.api.delete(f"/v1/vaults/{filled.id}")
    make_older(Vault, 31)
    assert purge()["vaults"] == 1
    key = VaultKey.objects.get()
    assert (key.state, bytes(key.wrapped)) == ("destroyed", b"")
    assert not Secret.objects.exists()
    # Somebody puts the rows back that they had copied, and even the vault.
    Secret.objects.bulk_create(Secret(**row) for row in copied_secrets)
    SecretVersion.objects.bulk_create(SecretVersion(**row) for row in copied_rows)
    Vault.objects.update(deleted_at=None)
    for version in SecretVersion.objects.select_related("secret", "vault_key"):
        with pytest.raises(CryptoError):
            open_version(version)
    assert alice.api.get(secret_url(filled, "a")).status_code == 500
    assert alice.api.put(secret_url(filled, "a"), body()).status_code == 500


def test_secrets_past_retention_are_destroyed_and_others_stay(alice, filled):
    for path in ("a", "b"):
        alice.api.delete(secret_url(filled, path))
    make_older(Secret, 31, path="a")
    assert purge("--dry-run") == NOTHING | {"secrets": 1}
    assert Secret.objects.count() == 3
    assert purge()["secrets"] == 1
    assert sorted(Secret.objects.values_list("path", flat=True)) == ["b", "c"]
    assert SecretVersion.objects.count() == 2
    event = AuditEvent.objects.get(action="secret.purge")
    assert (event.actor_type, event.details["path"]) == ("operator", "a")
    assert alice.api.get(secret_url(filled, "c")).status_code == 200


def test_a_purge_that_was_stopped_is_finished_by_the_next(alice, filled, monkeypatch):
    alice.api.delete(f"/v1/vaults/{filled.id}")
    make_older(Vault, 31)
    monkeypatch.setattr("secrets_app.services.secrets.purge._BATCH", 1)

    class Stopped(Exception):
        pass

    from secrets_app.services.secrets.purge import purge_deleted

    def stop(_):
        raise Stopped

    with pytest.raises(Stopped):
        purge_deleted(now=datetime.now(UTC), on_progress=stop)
    assert Secret.objects.count() == 2
    assert purge()["secrets"] == 2
    assert not SecretVersion.objects.exists()
    assert AuditEvent.objects.filter(action="vault.destroy").count() == 1


def test_other_vaults_are_left_alone(alice, filled):
    other = vault_of(alice, "other")
    alice.api.put(secret_url(other, "x"), body("kept"))
    alice.api.delete(f"/v1/vaults/{filled.id}")
    make_older(Vault, 31, pk=filled.pk)
    purge()
    assert alice.api.get(secret_url(other, "x")).json()["value"] == "kept"


def test_without_json_the_command_says_it_in_words(db, capsys):
    call_command("purge_secrets", "--dry-run")
    assert capsys.readouterr().out.startswith("would destroy: 0 vaults, 0 secrets")

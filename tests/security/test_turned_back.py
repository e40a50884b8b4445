"""Somebody with write access to the database turns things back, or marks what is alive as dead."""

import json
from contextlib import suppress
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from secrets_app.errors import InconsistentVault
from secrets_app.models import AuditEvent, Secret, SecretVersion, Vault, VaultKey
from tests.cast import Api, body, secret_url, vault_of
from tests.every_action import run
from tests.intruder import raw_delete, raw_update

CANARY = "canary-4711"


def findings(*arguments):
    """What verify_vault says: kind, id and problem of each finding."""
    out = StringIO()
    with suppress(CommandError):
        call_command("verify_vault", "--json", *map(str, arguments), stdout=out)
    told = json.loads(out.getvalue())["findings"]
    return [(each["kind"], each["id"], each["problem"]) for each in told]


def turn_back(path="app/db"):
    """Remove the newest version and let the secret point at the one before it."""
    secret = Secret.objects.get(path=path)
    raw_delete(SecretVersion, SecretVersion.objects.get(secret=secret, number=2).pk)
    raw_update(Secret, secret.pk, current_version=1)
    return secret


def by_put(api, vault, _):
    return api.put(secret_url(vault, "app/db"), body("new"))


def by_put_once(api, vault, _):
    key = {"Idempotency-Key": "k"}
    return api.put(secret_url(vault, "app/db"), body("new"), headers=key)


def by_rotate(api, vault, _):
    return api.post(f"/v1/vaults/{vault.pk}/secret-rotate/app/db", {})


def by_batch(api, vault, _):
    items = {"secrets": [{"path": "app/db"} | body("new")]}
    return api.post(f"/v1/vaults/{vault.pk}/secrets:batchWrite", items)


def by_revival(api, vault, _):
    api.delete(secret_url(vault, "app/db"))
    return api.put(secret_url(vault, "app/db"), body("new"))


def by_import(api, vault, tmp_path):
    source = tmp_path / "secrets.json"
    source.write_text('{"app/db": "new"}')
    run(
        "import_secrets",
        source,
        "--from",
        "json",
        "--vault",
        vault.pk,
        "--on-conflict",
        "new-version",
    )


@pytest.mark.parametrize("write", [by_put, by_put_once, by_rotate, by_batch, by_revival, by_import])
def test_a_secret_without_its_newest_version_is_found_by_the_log(alice, vault, tmp_path, write):
    """Issue 14, point 7a: rows that fit each other hide that the last one is gone; the log remembers."""
    alice.api.put(secret_url(vault, "app/db"), body("old"))
    write(alice.api, vault, tmp_path)
    assert findings() == []
    secret = turn_back()
    problem = "points at version 1, but the audit log has a write of version 2"
    assert findings() == [("secret", str(secret.pk), problem)]
    assert findings(vault.pk) == findings()
    assert findings(vault_of(alice, "other").pk) == []


def test_a_secret_without_any_version_is_found_by_the_log(alice, vault):
    """Issue 14, point 7a."""
    alice.api.put(secret_url(vault), body())
    secret = Secret.objects.get()
    raw_delete(SecretVersion, SecretVersion.objects.get().pk)
    raw_update(Secret, secret.pk, current_version=0)
    problem = "points at version 0, but the audit log has a write of version 1"
    assert findings() == [("secret", str(secret.pk), problem)]


def test_a_purged_secret_that_is_written_anew_is_no_finding(alice, vault):
    for value in ("one", "two"):
        alice.api.put(secret_url(vault), body(value))
    alice.api.delete(secret_url(vault) + "?purge=true")
    alice.api.put(secret_url(vault), body("anew"))
    assert findings() == []


@pytest.mark.parametrize("version", ["9", '"9"', "null", "true", "[9]", "9e99"])
def test_an_event_that_does_not_verify_is_no_witness(alice, vault, version):
    """What was edited is for verify_audit to name; it must not cast doubt on secrets, nor end the run."""
    alice.api.put(secret_url(vault), body())
    event = AuditEvent.objects.get(action="secret.write")
    raw_update(AuditEvent, event.pk, details=f'{{"path": "x", "version": {version}}}')
    assert findings() == []


@pytest.mark.parametrize("edited", ["details", "mac", "vault_id", "resource_id"])
def test_an_edited_witness_is_named_by_verify_audit(alice, vault, edited):
    """Whoever turns back and silences the log changes where it is found, not whether."""
    for value in ("old", "new"):
        alice.api.put(secret_url(vault, "app/db"), body(value))
    turn_back()
    event = AuditEvent.objects.filter(action="secret.write").latest("id")
    silence = {
        "details": '{"path": "app/db", "version": 1}',
        "mac": b"\0" * 32,
        "vault_id": None,
        "resource_id": None,
    }
    raw_update(AuditEvent, event.pk, **{edited: silence[edited]})
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("verify_audit", "--json", stdout=out)
    assert [each["id"] for each in json.loads(out.getvalue())["findings"]] == [str(event.pk)]


def test_a_pruned_log_vouches_for_what_it_still_has(alice, vault, tmp_path):
    for value in ("old", "new"):
        alice.api.put(secret_url(vault, "app/db"), body(value))
    run("seal_audit")
    run("export_audit", "--output", tmp_path / "audit.jsonl")
    run("prune_audit", "--before", timezone.now().isoformat())
    assert not AuditEvent.objects.filter(action="secret.write").exists()
    alice.api.put(secret_url(vault, "app/web"), body("old"))
    alice.api.put(secret_url(vault, "app/web"), body("new"))
    assert findings() == []
    turn_back()
    assert findings() == []  # docs/limitations.md: the log goes back no further
    secret = turn_back("app/web")
    assert [pk for _, pk, _ in findings()] == [str(secret.pk)]


def marked_destroyed(vault):
    raw_update(Vault, vault.pk, destroyed_at=timezone.now())
    return "is marked as destroyed, but has keys that are not"


def without_keys(vault):
    key = VaultKey.objects.get(vault=vault)
    raw_update(VaultKey, key.pk, state="destroyed")
    return "has no active key"


def refused(response):
    assert response.status_code == 500, response.content
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["detail"] == InconsistentVault.detail
    assert CANARY not in response.content.decode()
    event = AuditEvent.objects.latest("id")
    assert (event.action, event.outcome) == ("vault.refuse", "failure")
    assert event.details == {"reason": "InconsistentVault"}
    return event


@pytest.mark.parametrize("contradict", [marked_destroyed, without_keys])
@pytest.mark.parametrize(
    "ask",
    [
        lambda api, v: api.get(secret_url(v)),
        lambda api, v: api.get(f"/v1/vaults/{v.pk}/secret-versions/api-keys/openai/1"),
        lambda api, v: api.post(f"/v1/vaults/{v.pk}/secrets:batchRead", {"paths": ["a"]}),
        lambda api, v: api.put(secret_url(v), body()),
        lambda api, v: api.put(secret_url(v), body(), headers={"Idempotency-Key": "k"}),
        lambda api, v: api.post(f"/v1/vaults/{v.pk}/secrets:batchWrite", {"secrets": []}),
        lambda api, v: api.post(f"/v1/vaults/{v.pk}/secret-rotate/api-keys/openai", {}),
        lambda api, v: api.get(f"/v1/vaults/{v.pk}/secrets"),
        lambda api, v: api.get(f"/v1/vaults/{v.pk}"),
        lambda api, v: api.delete(f"/v1/vaults/{v.pk}"),
        lambda api, v: api.get(f"/v1/vaults/{v.pk}/policies"),
    ],
)
def test_a_vault_whose_marks_contradict_its_keys_is_not_served(alice, vault, ask, contradict):
    """Issue 14, point 7b: nothing that the log cannot vouch for is given out of such a vault."""
    alice.api.put(secret_url(vault), body(CANARY))
    contradict(vault)
    event = refused(ask(alice.api, vault))
    assert (event.actor_id, event.vault_id) == (alice.principal.pk, vault.pk)


def test_other_vaults_are_served_on(alice, vault):
    other = vault_of(alice, "other")
    alice.api.put(secret_url(other), body(CANARY))
    marked_destroyed(vault)
    assert alice.api.get(secret_url(other)).json()["value"] == CANARY
    assert alice.api.get("/v1/vaults").status_code == 200


def test_who_has_not_signed_in_learns_nothing_of_a_contradiction(alice, vault):
    marked_destroyed(vault)
    assert Api().get(secret_url(vault)).status_code == 401


@pytest.mark.parametrize("contradict", [marked_destroyed, without_keys])
def test_a_vault_whose_marks_contradict_its_keys_is_named(alice, vault, contradict):
    """Issue 14, point 7b."""
    alice.api.put(secret_url(vault), body())
    assert ("vault", str(vault.pk), contradict(vault)) in findings()


def test_what_lies_in_a_vault_marked_as_destroyed_is_still_verified(alice, vault):
    """Issue 14, point 7b: a mark took all of a vault out of the check."""
    alice.api.put(secret_url(vault), body())
    version = SecretVersion.objects.get()
    raw_update(SecretVersion, version.pk, value=version.value.envelope[:-1] + b"\0")
    marked_destroyed(vault)
    assert ("secret_version", str(version.pk)) in [(kind, pk) for kind, pk, _ in findings()]


def test_a_deleted_vault_marked_as_destroyed_keeps_its_secrets_and_is_named(alice, vault):
    """Issue 14, point 7b: a purge would carry out what the mark only claims."""
    alice.api.put(secret_url(vault), body())
    alice.api.delete(f"/v1/vaults/{vault.pk}")
    raw_update(Vault, vault.pk, destroyed_at=timezone.now())
    problem = "is marked as destroyed, but has keys that are not"
    assert findings() == [("vault", str(vault.pk), problem)]
    run("purge_secrets")
    assert Secret.objects.count() == SecretVersion.objects.count() == 1
    assert alice.api.get(secret_url(vault)).status_code == 404


def test_a_key_marked_as_destroyed_opens_nothing_and_is_named(alice, vault):
    """Issue 14, point 7b, the other way round: the mark of a key whose bytes are still there."""
    alice.api.put(secret_url(vault), body(CANARY))
    run("rotate_kek", vault.pk)
    old = VaultKey.objects.get(vault=vault, version=1)
    new = VaultKey.objects.get(vault=vault, version=2)
    assert findings() == []
    raw_update(VaultKey, old.pk, state="destroyed")
    problem = "is marked as destroyed, but is still there"
    assert findings() == [("vault_key", str(old.pk), problem)]

    raw_update(VaultKey, new.pk, state="destroyed")
    raw_update(VaultKey, old.pk, state="active")
    assert ("vault_key", str(new.pk), problem) in findings()
    response = alice.api.get(secret_url(vault))
    assert response.status_code == 500
    assert CANARY not in response.content.decode()
    event = AuditEvent.objects.latest("id")
    assert (event.action, event.details["reason"]) == ("secret.read", "OpenError")


def test_an_import_into_a_vault_marked_as_destroyed_is_refused(alice, vault, tmp_path):
    """Issue 14, point 7b."""
    source = tmp_path / "secrets.json"
    source.write_text('{"a": "b"}')
    marked_destroyed(vault)
    with pytest.raises(CommandError, match="contradicts itself"):
        run("import_secrets", source, "--from", "json", "--vault", vault.pk)
    assert not Secret.objects.exists()


def test_a_vault_that_purge_destroyed_is_no_finding(alice, vault, time_machine):
    alice.api.put(secret_url(vault), body())
    alice.api.delete(f"/v1/vaults/{vault.pk}")
    time_machine.move_to(timezone.now() + timedelta(days=31))
    run("purge_secrets")
    assert Vault.objects.get().destroyed_at is not None
    assert findings() == []

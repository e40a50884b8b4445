from datetime import UTC, datetime, timedelta

import pytest

from secrets_app.models import AuditEvent, Secret, SecretVersion
from tests.cast import allow, body, secret_url


def undelete_url(vault, path="api-keys/openai"):
    return f"/v1/vaults/{vault.id}/secret-undelete/{path}"


@pytest.fixture
def written(alice, vault):
    alice.api.put(secret_url(vault), body("one"))
    alice.api.put(secret_url(vault), body("two"))
    return secret_url(vault)


def test_a_deleted_secret_is_gone_with_all_its_versions(alice, vault, written):
    response = alice.api.delete(written)
    assert (response.status_code, response.content) == (204, b"")
    assert alice.api.get(written).status_code == 410
    for number in (1, 2):
        url = f"/v1/vaults/{vault.id}/secret-version/api-keys/openai/{number}"
        assert alice.api.get(url).status_code == 410
    assert (
        alice.api.get(f"/v1/vaults/{vault.id}/secret-versions/api-keys/openai").status_code == 404
    )
    assert AuditEvent.objects.get(action="secret.delete").outcome == "success"


def test_deleting_what_is_not_there_is_404(alice, vault, written):
    assert alice.api.delete(secret_url(vault, "no/such")).status_code == 404
    alice.api.delete(written)
    assert alice.api.delete(written).status_code == 404


@pytest.mark.parametrize(
    ("permission", "status"), [("read", 403), ("rotate", 403), ("write", 204), ("delete", 204)]
)
def test_deleting_needs_write_or_delete(bob, vault, written, permission, status):
    allow(bob, vault, "**", permission)
    assert bob.api.delete(written).status_code == status


def test_undeleting_brings_back_every_version(alice, vault, written):
    alice.api.delete(written)
    response = alice.api.post(undelete_url(vault))
    assert response.status_code == 200
    assert response.json()["version"] == 2
    assert "value" not in response.json()
    assert alice.api.get(written).json()["value"] == "two"
    first = f"/v1/vaults/{vault.id}/secret-version/api-keys/openai/1"
    assert alice.api.get(first).json()["value"] == "one"


def test_undeleting_what_is_not_deleted_is_409_and_what_is_not_there_404(alice, vault, written):
    assert alice.api.post(undelete_url(vault)).status_code == 409
    assert alice.api.post(undelete_url(vault, "no/such")).status_code == 404


def test_the_way_back_ends_with_the_retention_window(alice, vault, written, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"DELETED_RETENTION_DAYS": 7}
    alice.api.delete(written)
    now = datetime.now(UTC)
    Secret.objects.update(deleted_at=now - timedelta(days=7, seconds=-30))
    assert alice.api.post(undelete_url(vault)).status_code == 200
    Secret.objects.update(deleted_at=now - timedelta(days=7))
    assert alice.api.post(undelete_url(vault)).status_code == 410


def test_undeleting_needs_write(alice, bob, vault, written):
    alice.api.delete(written)
    allow(bob, vault, "**", "delete", "read")
    assert bob.api.post(undelete_url(vault)).status_code == 403


@pytest.mark.parametrize("is_deleted", [False, True])
def test_purging_destroys_everything_and_the_path_starts_anew(alice, vault, written, is_deleted):
    if is_deleted:
        alice.api.delete(written)
    before = Secret.objects.get().id
    assert alice.api.delete(written + "?purge=true").status_code == 204
    assert not SecretVersion.objects.exists()
    assert alice.api.get(written).status_code == 404
    assert alice.api.post(undelete_url(vault)).status_code == 404
    again = alice.api.put(written, body("three")).json()
    assert again["version"] == 1
    assert again["id"] != str(before)
    assert AuditEvent.objects.get(action="secret.purge").resource_id == before


def test_purging_is_for_the_owner_alone(bob, vault, written):
    allow(bob, vault, "**", "read", "write", "delete", "rotate")
    assert bob.api.delete(written + "?purge=true").status_code == 403
    event = AuditEvent.objects.get(action="secret.purge")
    assert (event.outcome, event.details["reason"]) == ("denied", "not_the_owner")
    assert SecretVersion.objects.count() == 2


@pytest.mark.parametrize(
    "query", ["purge=1", "purge=TRUE", "purge=", "purg=true", "purge=true&purge=false"]
)
def test_a_mistyped_query_deletes_nothing(alice, written, query):
    assert alice.api.delete(f"{written}?{query}").status_code == 400
    assert alice.api.get(written).status_code == 200


def test_purge_false_is_a_plain_delete(alice, vault, written):
    assert alice.api.delete(written + "?purge=false").status_code == 204
    assert alice.api.post(undelete_url(vault)).status_code == 200

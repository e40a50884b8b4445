from datetime import UTC, datetime
from uuid import uuid4

import pytest

from secrets_app.errors import ProviderUnavailable
from secrets_app.models import AuditEvent, Vault, VaultKey
from tests.cast import allow, vault_of


def test_a_vault_is_created_with_the_documented_fields(alice):
    response = alice.api.post("/v1/vaults", {"name": " Team ", "description": "two\nlines"})
    assert response.status_code == 201
    answer = response.json()
    assert set(answer) == {
        "id",
        "name",
        "description",
        "created_by",
        "created_by_type",
        "created_at",
    }
    assert answer["name"] == "Team"
    assert answer["created_by"] == f"user:{alice.principal.id}"
    assert answer["created_by_type"] == "user"
    key = VaultKey.objects.get(vault_id=answer["id"])
    assert (key.version, key.state) == (1, "active")
    assert AuditEvent.objects.get(action="vault.create").resource_id == key.vault_id


@pytest.mark.parametrize("name", ["Team", "TEAM", "team ", "Ｔｅａｍ"])  # noqa: RUF001
def test_an_owner_has_each_name_once_however_it_is_spelled(alice, bob, name):
    assert alice.api.post("/v1/vaults", {"name": "team"}).status_code == 201
    assert alice.api.post("/v1/vaults", {"name": name}).status_code == 409
    assert bob.api.post("/v1/vaults", {"name": name}).status_code == 201


def test_the_name_of_a_deleted_vault_is_free_again(alice, vault):
    Vault.objects.filter(pk=vault.pk).update(deleted_at=datetime.now(UTC))
    assert alice.api.post("/v1/vaults", {"name": vault.name}).status_code == 201


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": ""},
        {"name": "  "},
        {"name": "x" * 256},
        {"name": None},
        {"name": 5},
        {"name": "a\0b"},
        {"name": "a\nb"},
        {"name": "a\u202eb"},
        {"name": "a\u2066b"},
        {"name": "a\x1bb"},
        {"name": "ok", "description": "a\0b"},
        {"name": "ok", "description": "a\u202eb"},
        {"name": "ok", "description": None},
        {"name": "ok", "descripton": "typo"},
    ],
)
def test_a_bad_name_or_description_is_400_and_leaves_nothing(alice, fields):
    response = alice.api.post("/v1/vaults", fields)
    assert response.status_code == 400
    assert response.json()["errors"]
    assert not Vault.objects.exists()
    assert not VaultKey.objects.exists()


def test_an_agent_cannot_own_a_vault(robot):
    assert robot.api.post("/v1/vaults", {"name": "mine"}).status_code == 403
    assert not Vault.objects.exists()
    assert AuditEvent.objects.get(action="vault.create").outcome == "denied"


def test_without_a_key_provider_there_is_no_vault(alice, monkeypatch):
    def fail(*args):
        raise ProviderUnavailable

    monkeypatch.setattr("secrets_app.crypto.keyring.Keyring.create_kek", fail)
    response = alice.api.post("/v1/vaults", {"name": "team"})
    assert response.status_code == 500
    assert response["Retry-After"]
    assert not Vault.objects.exists()


def test_the_list_has_what_the_caller_owns_or_has_a_policy_in(alice, bob, charlie):
    mine, shared, other = vault_of(alice, "mine"), vault_of(bob, "shared"), vault_of(bob, "other")
    expired, gone = vault_of(bob, "expired"), vault_of(alice, "gone")
    allow(alice, shared, "a/*", "read")
    allow(alice, shared, "b/*", "read")
    allow(alice, expired, "**", "read", expires_at=datetime(2001, 1, 1, tzinfo=UTC))
    Vault.objects.filter(pk=gone.pk).update(deleted_at=datetime.now(UTC))

    def names(who):
        return [vault["name"] for vault in who.api.get("/v1/vaults").json()["vaults"]]

    assert names(alice) == [mine.name, shared.name]
    assert names(bob) == sorted([shared.name, other.name, expired.name])
    assert names(charlie) == []


def test_one_vault_for_owner_and_members_only(alice, bob, charlie, vault):
    url = f"/v1/vaults/{vault.id}"
    assert alice.api.get(url).json()["name"] == vault.name
    assert bob.api.get(url).status_code == 403
    assert AuditEvent.objects.get(outcome="denied").action == "vault.read"
    policy = allow(bob, vault, "a", "read")
    assert bob.api.get(url).status_code == 200
    policy.expires_at = datetime(2001, 1, 1, tzinfo=UTC)
    policy.save()
    assert bob.api.get(url).status_code == 403


@pytest.mark.parametrize(
    ("vault_id", "status"),
    [("x", 400), ("00000000000000000000000000000001", 400), (str(uuid4()), 404)],
)
def test_a_malformed_id_is_400_and_an_unknown_one_404(alice, vault_id, status):
    assert alice.api.get(f"/v1/vaults/{vault_id}").status_code == status


def test_an_id_may_be_written_in_upper_case(alice, vault):
    assert alice.api.get(f"/v1/vaults/{str(vault.id).upper()}").status_code == 200

"""Somebody with write access to the database moves, renumbers, swaps and edits rows."""

from uuid import uuid4

import pytest

from secrets_app.models import AuditEvent, Secret, SecretVersion, VaultKey
from tests.cast import body, secret_url, vault_of
from tests.intruder import raw_update

CANARY = "canary-4711"


def envelope(version):
    return version.value.envelope


def fails_closed(api, url):
    response = api.get(url)
    assert response.status_code == 500
    assert response["Content-Type"] == "application/problem+json"
    assert CANARY not in response.content.decode()
    event = AuditEvent.objects.filter(action="secret.read").latest("id")
    assert (event.outcome, event.details["reason"]) in {
        ("failure", "OpenError"),
        ("failure", "EnvelopeError"),
    }
    return True


@pytest.fixture
def two(alice, vault):
    """Two secrets of one vault, each with a version."""
    for path in ("mine", "yours"):
        assert alice.api.put(secret_url(vault, path), body(CANARY + path)).status_code == 201
    return [SecretVersion.objects.get(secret__path=path) for path in ("mine", "yours")]


def test_a_value_copied_into_another_secret_does_not_open(alice, vault, two):
    raw_update(SecretVersion, two[1].pk, value=envelope(two[0]))
    assert fails_closed(alice.api, secret_url(vault, "yours"))
    assert alice.api.get(secret_url(vault, "mine")).status_code == 200


def test_two_values_swapped_do_not_open(alice, vault, two):
    raw_update(SecretVersion, two[0].pk, value=envelope(two[1]))
    raw_update(SecretVersion, two[1].pk, value=envelope(two[0]))
    assert fails_closed(alice.api, secret_url(vault, "mine"))
    assert fails_closed(alice.api, secret_url(vault, "yours"))


def test_a_row_moved_to_another_secret_does_not_open(alice, vault, two):
    raw_update(SecretVersion, two[0].pk, secret_id=two[1].secret_id, number=2)
    raw_update(Secret, two[1].secret_id, current_version=2)
    assert fails_closed(alice.api, secret_url(vault, "yours"))


def test_a_renumbered_version_does_not_open(alice, vault):
    alice.api.put(secret_url(vault), body(CANARY))
    alice.api.put(secret_url(vault), body("new"))
    old = SecretVersion.objects.get(number=1)
    raw_update(SecretVersion, old.pk, number=3)
    raw_update(Secret, old.secret_id, current_version=3)
    assert fails_closed(alice.api, secret_url(vault))


def test_a_renamed_path_does_not_open(alice, vault, two):
    raw_update(Secret, two[0].secret_id, path="elsewhere")
    assert fails_closed(alice.api, secret_url(vault, "elsewhere"))


def test_a_changed_type_does_not_open(alice, vault, two):
    raw_update(SecretVersion, two[0].pk, type="note")
    assert fails_closed(alice.api, secret_url(vault, "mine"))


def test_a_secret_moved_into_the_intruders_vault_does_not_open(alice, charlie, vault, two):
    own = vault_of(charlie, "own")
    raw_update(Secret, two[0].secret_id, vault_id=own.pk)
    raw_update(SecretVersion, two[0].pk, vault_id=own.pk)
    assert fails_closed(charlie.api, secret_url(own, "mine"))


def test_a_wrapped_key_moved_along_does_not_help(alice, charlie, vault, two):
    own = vault_of(charlie, "own")
    stolen, mine = VaultKey.objects.get(vault=vault), VaultKey.objects.get(vault=own)
    raw_update(VaultKey, mine.pk, wrapped=bytes(stolen.wrapped))
    raw_update(Secret, two[0].secret_id, vault_id=own.pk)
    raw_update(SecretVersion, two[0].pk, vault_id=own.pk, vault_key_id=mine.pk)
    assert fails_closed(charlie.api, secret_url(own, "mine"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-1],
        lambda raw: raw + b"\0",
        lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]),
        lambda raw: b"\x02" + raw[1:],
        lambda raw: b"",
        lambda raw: b"plain",
    ],
)
def test_damaged_bytes_do_not_open(alice, vault, two, damage):
    raw_update(SecretVersion, two[0].pk, value=damage(envelope(two[0])))
    assert fails_closed(alice.api, secret_url(vault, "mine"))


def test_an_access_is_not_spent_on_a_value_that_does_not_open(alice, vault):
    alice.api.put(secret_url(vault), body(CANARY, max_access_count=1))
    version = SecretVersion.objects.get()
    good = envelope(version)
    raw_update(SecretVersion, version.pk, value=good[:-1] + bytes([good[-1] ^ 1]))
    assert fails_closed(alice.api, secret_url(vault))
    raw_update(SecretVersion, version.pk, value=good)
    assert alice.api.get(secret_url(vault)).json()["value"] == CANARY


def test_a_key_id_that_no_root_key_has_is_a_500_too(alice, vault, two):
    raw_update(VaultKey, two[0].vault_key_id, root_key_id=f"local:{uuid4().hex[:16]}")
    response = alice.api.get(secret_url(vault, "mine"))
    assert response.status_code == 500
    assert CANARY not in response.content.decode()

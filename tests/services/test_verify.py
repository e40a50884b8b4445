"""Rows are changed straight in the database, one way at a time; each is found and named."""

from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from secrets_app.errors import ProviderUnavailable, UnknownRootKey
from secrets_app.fields import Sealed
from secrets_app.keys import keyring
from secrets_app.models import AuditEvent, AuditKey, Secret, SecretVersion, Vault, VaultKey
from secrets_app.services.audit import OPERATOR
from secrets_app.services.keys.verify import check_everything, count_checks, note_check
from tests.cast import body, secret_url, vault_of


def verify(vault=None):
    """What is found, as (kind, id, problem); also, that as many rows were looked at as announced."""
    found, looked_at = [], []
    vault_id = vault.pk if vault else None
    check_everything(
        vault_id=vault_id,
        on_finding=found.append,
        on_progress=looked_at.append,
    )
    assert sum(looked_at) == count_checks(vault_id=vault_id)
    return [(finding.kind, finding.id, finding.problem) for finding in found]


@pytest.fixture
def filled(alice, vault):
    for path in ("a", "b"):
        for n in range(3):
            alice.api.put(secret_url(vault, path), body(f"{path}{n}"))
    return vault


def version(path, number):
    return SecretVersion.objects.get(secret__path=path, number=number)


def change(row, **fields):
    type(row)._base_manager.filter(pk=row.pk).update(**fields)


def test_an_untouched_vault_has_nothing_to_tell(alice, filled):
    alice.api.delete(secret_url(filled, "a"))
    alice.api.post(f"/v1/vaults/{filled.pk}/secret-version-disable/b/2")
    vault_of(alice, "empty")
    assert verify() == []
    assert verify(filled) == []


def test_statements_do_not_grow_with_rows(alice, filled, django_assert_max_num_queries):
    with CaptureQueriesContext(connection) as few:
        assert verify() == []
    count = len(few)
    for path in ("c", "d", "e"):
        alice.api.put(secret_url(filled, path), body())
    with django_assert_max_num_queries(count):
        assert verify() == []


def test_swapped_values_are_found(filled):
    one, other = version("a", 1), version("b", 1)
    change(one, value=other.value)
    change(other, value=one.value)
    assert sorted(pk for _, pk, _ in verify()) == sorted([one.pk, other.pk])


def test_an_older_value_put_in_the_place_of_a_newer_is_found(filled):
    old, new = version("a", 1), version("a", 3)
    change(new, value=old.value)
    assert [pk for _, pk, _ in verify()] == [new.pk]


@pytest.mark.parametrize("position", [0, 1, 20, 62, -1])
def test_an_edited_value_is_found(filled, position):
    row = version("a", 2)
    raw = bytearray(row.value.envelope)
    raw[position] ^= 1
    change(row, value=Sealed(bytes(raw)))
    ((kind, pk, problem),) = verify()
    assert (kind, pk) == ("secret_version", row.pk)
    assert problem == (
        "is not an envelope" if position == 0 else "does not open: it was edited or swapped"
    )


def test_an_edited_type_or_path_is_found(filled):
    row = version("a", 2)
    change(row, type="note")
    assert [pk for _, pk, _ in verify()] == [row.pk]
    change(row, type="password")
    change(row.secret, path="moved")
    assert len(verify()) == 3


def test_renumbered_versions_are_found(filled):
    one, two = version("a", 1), version("a", 2)
    change(one, number=99)
    change(two, number=1)
    change(one, number=2)
    assert sorted(pk for _, pk, _ in verify()) == sorted([one.pk, two.pk])


def test_a_missing_version_is_found(filled):
    row = version("a", 2)
    row.delete()
    assert verify() == [("secret", row.secret_id, "lacks 1 of its 3 versions")]


def test_a_secret_turned_back_to_an_older_version_is_found(filled):
    secret = Secret.objects.get(path="a")
    change(secret, current_version=2)
    assert verify() == [("secret", secret.pk, "points at version 2, its last is 3")]


@pytest.mark.parametrize("page", [1, 2, 3, 6, 7])
def test_the_log_is_read_to_its_end_and_each_secret_named_once(alice, filled, monkeypatch, page):
    alice.api.post(f"/v1/vaults/{filled.pk}/secret-rotate/b", {})
    monkeypatch.setattr("secrets_app.services.audit.witness._EVENTS_AT_ONCE", page)
    assert verify() == []
    for path in ("a", "b"):
        SecretVersion.objects.filter(secret__path=path, number__gt=1).delete()
    Secret.objects.update(current_version=1)
    assert sorted(pk for kind, pk, _ in verify() if kind == "secret") == sorted(
        Secret.objects.values_list("pk", flat=True)
    )


def test_an_event_that_was_put_in_is_no_witness(filled):
    """A log entry without the log's key does not bring a secret under suspicion."""
    event = AuditEvent.objects.filter(action="secret.write").latest("id")
    event.pk, event.details = uuid4(), {"path": "b", "version": 4}
    event.save(force_insert=True)
    assert verify() == []


def test_without_a_suspicion_the_audit_key_is_not_asked_for(filled):
    AuditKey.objects.update(root_key_id="local:unknown")
    assert verify() == []
    SecretVersion.objects.filter(secret__path="a", number=3).delete()
    Secret.objects.filter(path="a").update(current_version=2)
    with pytest.raises(UnknownRootKey):
        verify()


def test_a_row_moved_to_another_vault_is_found(alice, filled):
    other = vault_of(alice, "other")
    row = version("a", 2)
    change(row, vault=other)
    assert verify() == [
        ("secret_version", row.pk, "belongs to another vault than its secret or key")
    ]
    secret = row.secret
    change(secret, vault=other)
    SecretVersion.objects.filter(secret=secret).update(
        vault=other, vault_key=VaultKey.objects.get(vault=other)
    )
    assert len(verify()) == 3


def test_a_copied_row_is_found(filled):
    row = version("a", 3)
    row.pk, row.number = uuid4(), 4
    row.save(force_insert=True)
    change(row.secret, current_version=4)
    assert verify() == [("secret_version", row.pk, "does not open: it was edited or swapped")]


def test_swapped_vault_keys_are_found(alice, filled):
    vault_of(alice, "other")
    one, other = VaultKey.objects.order_by("created_at")
    change(one, wrapped=bytes(other.wrapped))
    change(other, wrapped=bytes(one.wrapped))
    found = verify()
    assert sorted(pk for kind, pk, _ in found if kind == "vault_key") == sorted([one.pk, other.pk])
    under = {problem for kind, _, problem in found if kind == "secret_version"}
    assert under == {f"lies under the vault key {one.pk}, which does not open"}


def test_a_key_of_an_unknown_root_key_is_found(filled):
    VaultKey.objects.update(root_key_id="local:unknown")
    kinds = [kind for kind, _, _ in verify()]
    assert kinds == ["vault_key"] + ["secret_version"] * 6


def test_a_vault_without_an_active_key_is_found(filled):
    VaultKey.objects.update(state="retired")
    assert verify() == [("vault", filled.pk, "has no active key")]


def test_a_destroyed_key_with_values_under_it_is_found(filled):
    VaultKey.objects.update(state="destroyed", wrapped=b"")
    problems = {problem for _, _, problem in verify()}
    assert problems == {"has no active key", "lies under a key that was destroyed"}


def test_a_vault_that_was_destroyed_without_being_deleted_is_found(filled):
    Vault.objects.update(destroyed_at=timezone.now())
    VaultKey.objects.update(state="destroyed", wrapped=b"")
    assert ("vault", filled.pk, "is marked as destroyed, but not as deleted") in verify()


def test_destroyed_vaults_and_versions_are_no_finding(alice, filled):
    change(version("a", 1), value=None, destroyed_at=timezone.now())
    assert verify() == []
    Vault.objects.update(deleted_at=timezone.now(), destroyed_at=timezone.now())
    VaultKey.objects.update(state="destroyed", wrapped=b"")
    assert verify() == []


def test_only_the_vault_asked_for_is_looked_at(alice, filled):
    other = vault_of(alice, "other")
    row = version("a", 2)
    change(row, value=Sealed(b"garbage"))
    assert verify(other) == []
    assert len(verify(filled)) == 1


def test_a_provider_that_is_away_is_an_error_and_no_finding(filled, monkeypatch):
    def away(_):
        raise ProviderUnavailable

    monkeypatch.setattr(keyring(), "check", away)
    with pytest.raises(ProviderUnavailable):
        verify()


def test_it_reads_in_bounded_steps_and_changes_nothing(filled, django_assert_max_num_queries):
    before = list(SecretVersion.objects.order_by("pk").values("pk", "access_count"))
    with django_assert_max_num_queries(25):
        verify()
    assert list(SecretVersion.objects.order_by("pk").values("pk", "access_count")) == before


@pytest.mark.parametrize(("findings", "outcome"), [(0, "success"), (3, "failure")])
def test_it_leaves_an_event_with_the_number_of_findings(vault, findings, outcome):
    note_check(vault_id=vault.pk, findings=findings, actor=OPERATOR)
    event = AuditEvent.objects.order_by("pk").last()
    assert (event.action, event.outcome, event.vault_id) == ("vault.verify", outcome, vault.pk)
    assert event.details == {"findings": findings}


def test_no_finding_shows_a_value_or_a_path(filled):
    for row in SecretVersion.objects.all():
        change(row, value=Sealed(b"\1" + bytes(90)))
    problems = {problem for _, _, problem in verify()}
    assert problems == {"does not open: it was edited or swapped"}


@pytest.mark.parametrize(
    ("reference", "kinds"),
    [
        ("secret_id", {"secret_version", "secret"}),
        ("vault_key_id", {"secret_version"}),
        ("vault_id", {"secret_version"}),
    ],
)
def test_a_version_that_refers_to_nothing_is_found(filled, reference, kinds):
    row = version("a", 2)
    with transaction.atomic():
        change(row, **{reference: uuid4()})
        found = verify()
        transaction.set_rollback(True)  # the database would refuse to commit it
    assert ("secret_version", row.pk) in [(kind, pk) for kind, pk, _ in found]
    assert {kind for kind, _, _ in found} == kinds


def test_a_secret_of_a_vault_that_is_not_there_is_found(filled):
    secret = Secret.objects.get(path="a")
    with transaction.atomic():
        change(secret, vault_id=uuid4())
        assert ("secret", secret.pk, "belongs to a vault that is not there") in verify()
        transaction.set_rollback(True)


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize(
    ("column", "value"), [("value", "'text'"), ("number", "-1"), ("type", "x'ff'")]
)
def test_a_version_that_was_edited_into_garbage_is_found(filled, column, value):
    """SQLite keeps whatever is written into a column."""
    row = version("a", 2)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA ignore_check_constraints = ON")
        cursor.execute(
            f"UPDATE secrets_app_secretversion SET {column} = {value} WHERE id = %s", [row.pk.hex]
        )
        cursor.execute("PRAGMA ignore_check_constraints = OFF")
    assert ("secret_version", row.pk) in [(kind, pk) for kind, pk, _ in verify()]


def test_what_is_not_bound_is_not_looked_at(filled):
    """Metadata and times are not proven by the value: their oddities do not end the run."""
    sql = {
        "sqlite": "UPDATE secrets_app_secretversion SET created_at = 'garbage', metadata = '7'",
        "postgresql": "UPDATE secrets_app_secretversion SET created_at = 'infinity'",
    }
    with connection.cursor() as cursor:
        cursor.execute(sql[connection.vendor])
    assert verify() == []

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from secrets_app.crypto.envelope import HEADER_BYTES
from secrets_app.errors import ProviderUnavailable
from secrets_app.fields import Sealed
from secrets_app.keys import keyring
from secrets_app.models import AuditEvent, SecretVersion, Vault, VaultKey
from secrets_app.services.audit import OPERATOR
from secrets_app.services.keys import batches
from secrets_app.services.keys import kek_rotation as kek
from secrets_app.services.keys.kek_rotation import plan_rotation, rotate_vault
from tests.cast import body, secret_url, vault_of

ALL = timedelta(0)


def rotate(vault, **options):
    options = {"older_than": None, "actor": OPERATOR, "on_progress": lambda _: None} | options
    return rotate_vault(vault_id=vault.pk, **options)


def fill(owner, vault, count=5):
    for n in range(count):
        answer = owner.api.put(secret_url(vault, f"app/{n}"), body(f"value {n}"))
        assert answer.status_code == 201


def values(owner, vault, count=5):
    return [owner.api.get(secret_url(vault, f"app/{n}")).json()["value"] for n in range(count)]


def states(vault):
    keys = VaultKey.objects.filter(vault=vault).order_by("version")
    return [(key.version, key.state) for key in keys]


def boxes(vault):
    """The ciphertext of each value, without the wrapped DEK before it."""
    rows = SecretVersion.objects.filter(vault=vault).order_by("pk")
    return [row.value.envelope[HEADER_BYTES:] for row in rows]


def test_every_value_moves_under_a_new_key_and_its_ciphertext_stays(alice, vault):
    fill(alice, vault)
    before = boxes(vault)
    told = []
    done = rotate(vault, on_progress=told.append)
    assert (done.version, done.moved, done.failed) == (2, 5, [])
    assert sum(told) == 5
    assert states(vault) == [(1, "retired"), (2, "active")]
    assert set(SecretVersion.objects.values_list("vault_key__version", flat=True)) == {2}
    assert boxes(vault) == before
    assert values(alice, vault) == [f"value {n}" for n in range(5)]


def test_versions_of_every_kind_move_and_destroyed_ones_stay(alice, vault, settings):
    url = secret_url(vault, "app/0")
    for n in range(4):
        alice.api.put(url, body(f"v{n}", max_access_count=9))
    settings.SECRETS_APP = settings.SECRETS_APP | {"MAX_VERSIONS": 3}
    alice.api.put(url, body("v4"))
    alice.api.post(f"/v1/vaults/{vault.pk}/secret-version-disable/app/0/3")
    alice.api.delete(url)
    assert rotate(vault).moved == 3
    kept = SecretVersion.objects.filter(destroyed_at__isnull=True)
    assert set(kept.values_list("vault_key__version", flat=True)) == {2}
    alice.api.post(f"/v1/vaults/{vault.pk}/secret-undelete/app/0")
    assert alice.api.get(url).json()["value"] == "v4"


def test_new_writes_use_the_new_key(alice, vault):
    rotate(vault)
    fill(alice, vault, 1)
    assert SecretVersion.objects.get().vault_key.version == 2


def test_a_writer_that_began_under_the_old_key_succeeds_and_is_moved_next_time(alice, vault):
    from secrets_app.services.sealing.vault_keys import active_vault_key

    fill(alice, vault, 1)
    late = active_vault_key(vault_id=vault.pk)
    rotate(vault)
    # What a writer does that has looked the key up before it was retired.
    row = SecretVersion.objects.get()
    row.pk, row.number, row.vault_key = uuid4(), 2, late
    from secrets_app.crypto.plaintext import Plaintext

    row.value = Plaintext(b"late")
    row.save(force_insert=True)
    row.secret.current_version = 2
    row.secret.save()
    assert alice.api.get(secret_url(vault, "app/0")).json()["value"] == "late"
    done = rotate(vault)
    assert (done.version, done.moved) == (None, 1)
    assert alice.api.get(secret_url(vault, "app/0")).json()["value"] == "late"


def test_stopped_between_two_batches_the_next_run_finishes(alice, vault, monkeypatch):
    monkeypatch.setattr(batches, "_ROWS", 2)
    fill(alice, vault)

    class Stopped(BaseException):
        pass

    def stop(_):
        raise Stopped

    with pytest.raises(Stopped):
        rotate(vault, on_progress=stop)
    moved = SecretVersion.objects.filter(vault_key__version=2).count()
    assert moved == 2
    assert values(alice, vault) == [f"value {n}" for n in range(5)]
    (plan,) = plan_rotation(vault_id=vault.pk, older_than=None)
    assert (plan.makes_key, plan.to_move) == (False, 3)
    done = rotate(vault)
    assert (done.version, done.moved) == (None, 3)
    assert states(vault) == [(1, "retired"), (2, "active")]
    assert rotate(vault).version == 3


def test_large_values_are_moved_a_few_at_a_time(alice, vault, monkeypatch):
    monkeypatch.setattr(batches, "_BYTES", 2500)
    for n in range(5):
        alice.api.put(secret_url(vault, f"app/{n}"), body("x" * 1000))
    told = []
    rotate(vault, on_progress=told.append)
    assert told == [2, 2, 1]


def test_a_value_that_does_not_open_stays_and_is_named(alice, vault):
    fill(alice, vault)
    bad = SecretVersion.objects.order_by("pk")[1]
    SecretVersion.objects.filter(pk=bad.pk).update(value=Sealed(b"\1" + bytes(100)))
    done = rotate(vault)
    assert done.failed == [bad.pk]
    assert done.moved == 4
    bad.refresh_from_db()
    assert bad.vault_key.version == 1
    # It does not keep the vault from being rotated again.
    again = rotate(vault)
    assert (again.version, again.moved, again.failed) == (3, 4, [bad.pk])


def test_a_retired_key_that_does_not_open_is_named_and_the_others_values_move(alice, vault):
    for _ in range(2):
        fill(alice, vault, 2)
        rotate(vault)
    first, second = VaultKey.objects.order_by("version")[:2]
    stranded, movable = SecretVersion.objects.order_by("pk")[:2]
    SecretVersion.objects.filter(pk=stranded.pk).update(vault_key=first)
    boxed = Sealed(
        keyring()
        .unwrapped(VaultKey.objects.get(version=3).wrapped_key())
        .rewrap(
            movable.value.envelope,
            movable.encryption_context(),
            to=keyring().unwrapped(second.wrapped_key()),
        )
    )
    SecretVersion.objects.filter(pk=movable.pk).update(vault_key=second, value=boxed)
    VaultKey.objects.filter(pk=first.pk).update(wrapped=first.wrapped[:-1] + b"x")
    done = rotate(vault)
    assert (done.moved, done.failed) == (1, [first.pk])
    stranded.refresh_from_db()
    assert stranded.vault_key_id == first.pk


@pytest.mark.parametrize("broken", [{"wrapped": b"x" * 60}, {"state": "retired"}])
def test_a_vault_without_a_key_that_opens_is_named_and_left(alice, vault, broken):
    fill(alice, vault)
    VaultKey.objects.filter(vault=vault).update(**broken)
    done = rotate(vault)
    assert (done.version, done.moved, done.failed) == (None, 0, [vault.pk])
    assert VaultKey.objects.count() == 1


def test_only_old_keys_are_replaced(alice, vault):
    other = vault_of(alice, "other")
    old = timezone.now() - timedelta(days=91)
    VaultKey.objects.filter(vault=other).update(created_at=old)
    plans = plan_rotation(vault_id=None, older_than=timedelta(days=90))
    assert [(plan.vault_id, plan.makes_key) for plan in plans] == [(other.pk, True)]
    assert rotate(vault, older_than=timedelta(days=90)).version is None
    assert rotate(other, older_than=timedelta(days=90)).version == 2
    assert plan_rotation(vault_id=None, older_than=timedelta(days=90)) == []
    assert len(plan_rotation(vault_id=None, older_than=ALL)) == 2


def test_a_deleted_vault_is_rotated_too_and_a_destroyed_one_is_not(alice, vault):
    Vault.objects.update(deleted_at=timezone.now())
    assert len(plan_rotation(vault_id=None, older_than=ALL)) == 1
    Vault.objects.update(destroyed_at=timezone.now())
    VaultKey.objects.update(state="destroyed", wrapped=b"")
    assert plan_rotation(vault_id=None, older_than=ALL) == []


def test_two_that_rotate_at_once_make_one_key(alice, vault, monkeypatch):
    """The other one is through between this one's look at the key and its transaction."""
    draw = kek.generate_vault_key
    others = []

    def draw_late(**arguments):
        drawn = draw(**arguments)
        if not others:
            others.append(None)
            others[0] = rotate(vault)
        return drawn

    monkeypatch.setattr(kek, "generate_vault_key", draw_late)
    assert rotate(vault).version is None
    assert others[0].version == 2
    assert states(vault) == [(1, "retired"), (2, "active")]


def test_each_step_leaves_an_event_of_the_operator(alice, vault):
    fill(alice, vault, 3)
    AuditEvent.objects.all().delete()
    rotate(vault)
    events = AuditEvent.objects.order_by("pk")
    assert [(event.action, event.actor_type) for event in events] == [
        ("key.rotate", "operator"),
        ("key.rewrap", "operator"),
    ]
    assert {event.vault_id for event in events} == {vault.pk}
    assert events[1].details == {"from": 1, "to": 2, "versions": 3}


def test_without_an_event_nothing_is_rotated(alice, vault, monkeypatch):
    fill(alice, vault, 1)

    def fail(*args, **kwargs):
        raise RuntimeError("no event")

    monkeypatch.setattr(kek, "record", fail)
    with pytest.raises(RuntimeError), transaction.atomic():
        rotate(vault)
    assert states(vault) == [(1, "active")]


def test_while_the_provider_is_away_nothing_changes(alice, vault, monkeypatch):
    def away(**_):
        raise ProviderUnavailable

    monkeypatch.setattr(kek, "generate_vault_key", away)
    with pytest.raises(ProviderUnavailable):
        rotate(vault)
    assert states(vault) == [(1, "active")]


def test_retired_keys_are_destroyed_once_nothing_depends_on_them_for_a_day(alice, vault):
    fill(alice, vault, 1)
    bad = SecretVersion.objects.get()
    SecretVersion.objects.update(value=Sealed(b"\1" + bytes(100)))
    rotate(vault)
    VaultKey.objects.filter(version=1).update(retired_at=timezone.now() - timedelta(days=2))
    fill(alice, vault, 2)
    # One value still lies under the first key, though it does not open.
    assert rotate(vault, destroy_retired=True).destroyed == 0
    SecretVersion.objects.filter(pk=bad.pk).update(value=None, destroyed_at=timezone.now())
    assert rotate(vault, older_than=timedelta(days=1), destroy_retired=True).destroyed == 1
    assert states(vault) == [(1, "destroyed"), (2, "retired"), (3, "active")]
    assert bytes(VaultKey.objects.get(version=1).wrapped) == b""
    assert values(alice, vault, 2) == ["value 0", "value 1"]
    assert AuditEvent.objects.filter(action="key.destroy").count() == 1


@pytest.mark.parametrize("ttl", [0, 300])
def test_the_provider_is_asked_a_few_times_however_many_values_move(alice, vault, settings, ttl):
    from secrets_app.providers.local import LocalProvider

    fill(alice, vault)
    settings.SECRETS_APP = settings.SECRETS_APP | {"KEK_CACHE_TTL": ttl}
    asked = []
    unwrap = LocalProvider.unwrap

    def counting(self, *arguments):
        asked.append(1)
        return unwrap(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalProvider, "unwrap", counting)
        rotate(vault)
    assert len(asked) <= 4

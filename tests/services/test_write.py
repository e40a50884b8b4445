"""What goes when something new is written, and that it goes in its own vault and secret alone.

Asked for by mutation testing (docs/mutation.md)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from secrets_app.models import Secret, SecretVersion
from secrets_app.services.secrets import write
from tests.cast import body, secret_url, vault_of

RETENTION = timedelta(days=30)
TICK = timedelta(microseconds=1)
WHOLE = {"metadata": {"a": "b"}, "rotation_policy": {"days": 3}}


def put(api, vault, path, value):
    return api.put(secret_url(vault, path), body(value, **WHOLE))


def put_once(api, vault, path, value):
    key = {"Idempotency-Key": f"{vault.pk}{path}{value}"}
    return api.put(secret_url(vault, path), body(value, **WHOLE), headers=key)


def put_in_a_batch(api, vault, path, value):
    items = {"secrets": [{"path": path} | body(value, **WHOLE), {"path": "x/y"} | body("x")]}
    return api.post(f"/v1/vaults/{vault.pk}/secrets:batchWrite", items)


def rotate(api, vault, path, value):
    return api.post(f"/v1/vaults/{vault.pk}/secret-rotate/{path}", {})


WAYS = [put, put_once, put_in_a_batch, rotate]


def destroyed():
    """(vault, path, number) of each version that was destroyed."""
    gone = SecretVersion.objects.filter(destroyed_at__isnull=False)
    return sorted(gone.values_list("secret__vault__name", "secret__path", "number"))


@pytest.mark.parametrize("way", WAYS)
def test_a_cap_on_versions_takes_the_oldest_of_this_secret_alone(alice, vault, settings, way):
    other = vault_of(alice, "other")
    for where, path in ((vault, "a"), (vault, "b"), (other, "a")):
        # Others have more than the cap allows: it is kept to when they are written.
        for number in range(1, 4 if (where, path) == (vault, "a") else 7):
            put(alice.api, where, path, f"{path}{number}")
    settings.SECRETS_APP = settings.SECRETS_APP | {"MAX_VERSIONS": 4}
    assert way(alice.api, vault, "a", "a4").status_code < 300
    assert destroyed() == []
    settings.SECRETS_APP = settings.SECRETS_APP | {"MAX_VERSIONS": 3}
    assert way(alice.api, vault, "a", "a5").status_code < 300
    assert destroyed() == [("team", "a", 1), ("team", "a", 2)]
    for version in SecretVersion.objects.filter(destroyed_at__isnull=False):
        assert (version.value, version.metadata, version.rotation_policy) == (None, None, None)
        assert abs(version.destroyed_at - timezone.now()) < timedelta(minutes=1)
    for where, path, number in ((vault, "a", 3), (vault, "b", 1), (other, "a", 1)):
        url = f"/v1/vaults/{where.pk}/secret-version/{path}/{number}"
        assert alice.api.get(url).json()["value"] == f"{path}{number}"
        assert alice.api.get(url).json()["metadata"] == WHOLE["metadata"]
    at = SecretVersion.objects.filter(destroyed_at__isnull=False).values_list("pk", "destroyed_at")
    before = dict(at)
    assert way(alice.api, vault, "a", "a6").status_code < 300
    assert dict(at.all()).items() > before.items()


@pytest.mark.parametrize("way", WAYS)
def test_a_cap_on_versions_is_kept_to_with_each_write(alice, vault, settings, way):
    settings.SECRETS_APP = settings.SECRETS_APP | {"MAX_VERSIONS": 2}
    put(alice.api, vault, "a", "a1")
    for number in range(2, 5):
        assert way(alice.api, vault, "a", f"a{number}").status_code < 300
        kept = SecretVersion.objects.filter(secret__path="a", destroyed_at__isnull=True)
        assert sorted(kept.values_list("number", flat=True)) == [number - 1, number]


@pytest.mark.parametrize("way", WAYS)
def test_the_same_path_of_another_vault_is_not_written(alice, vault, way):
    """Nor another path of this one; whether it is new, there, or deleted."""
    others = [vault_of(alice, name) for name in ("other", "third", "fourth")]
    for where in (*others, vault):
        for path in ("a", "b"):
            put(alice.api, where, path, "old")
    assert way(alice.api, vault, "a", "new").status_code < 300
    if way is not rotate:
        assert way(alice.api, vault, "fresh", "new").status_code < 300
        alice.api.delete(secret_url(vault, "b"))
        assert way(alice.api, vault, "b", "revived").status_code < 300
        assert alice.api.get(secret_url(vault, "b")).json()["value"] == "revived"
    for where in others:
        told = where.secrets.order_by("path").values_list("path", "current_version", "deleted_at")
        assert list(told) == [("a", 1, None), ("b", 1, None)]
    numbers = dict(vault.secrets.values_list("path", "current_version"))
    assert numbers["a"] == 2
    if way is not rotate:
        assert (numbers["fresh"], numbers["b"]) == (1, 2)


@pytest.mark.parametrize("way", [put, put_once, put_in_a_batch])
def test_a_revival_brings_back_what_is_within_its_retention_and_nothing_older(
    alice, vault, time_machine, way
):
    for path in ("kept", "gone", "other"):
        put(alice.api, vault, path, "old")
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    Secret.objects.filter(path="kept").update(deleted_at=now - RETENTION + TICK)
    Secret.objects.filter(path="gone").update(deleted_at=now - RETENTION)
    for path in ("kept", "gone"):
        assert way(alice.api, vault, path, "new").status_code < 300
        assert alice.api.get(secret_url(vault, path)).json()["value"] == "new"
    assert destroyed() == [("team", "gone", 1)]
    first = f"/v1/vaults/{vault.pk}/secret-version/kept/1"
    assert alice.api.get(first).json()["value"] == "old"
    assert alice.api.get(secret_url(vault, "other")).json()["value"] == "old"


@pytest.mark.parametrize(("times", "status"), [(4, 201), (5, 409)])
def test_a_write_at_a_path_that_is_purged_again_and_again(alice, vault, monkeypatch, times, status):
    """It starts anew, five times at most, and says then what it was."""
    create_and_lock, vanished = write._create_and_lock, iter(range(times))

    def while_somebody_purges(*arguments):
        if next(vanished, None) is not None:
            raise write._PurgedMeanwhile
        return create_and_lock(*arguments)

    monkeypatch.setattr(write, "_create_and_lock", while_somebody_purges)
    response = put_once(alice.api, vault, "a", "new")
    assert response.status_code == status
    if status == 409:
        detail = "The secret is being purged right now. Try again."
        assert response.json()["detail"] == detail
        assert not Secret.objects.exists()


def test_a_repeated_rotation_is_answered_as_the_first(alice, vault):
    put(alice.api, vault, "a", "old")
    url = f"/v1/vaults/{vault.pk}/secret-rotate/a"
    answers = [alice.api.post(url, {}, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["version"] == 2
    assert SecretVersion.objects.count() == 2

"""What the routes of the life of a secret do not show by themselves.

Asked for by mutation testing (docs/mutation.md)."""

from uuid import uuid4

import pytest
from django.db.models import F
from django.utils import timezone

from secrets_app.errors import NotFound
from secrets_app.models import AuditEvent, SecretVersion
from secrets_app.services.audit import OPERATOR
from secrets_app.services.secrets import lifecycle
from secrets_app.services.secrets.lifecycle import disable_any_version
from tests.cast import body, secret_url


@pytest.fixture
def versions(alice, vault):
    """Two of one secret and one of another."""
    for path in ("a", "a", "b"):
        alice.api.put(secret_url(vault, path), body(max_access_count=9))
    return list(SecretVersion.objects.order_by("secret__path", "number"))


def disabled():
    marked = SecretVersion.objects.filter(disabled_at__isnull=False)
    return dict(marked.values_list("pk", "disabled_at"))


def test_an_operator_disables_the_version_that_was_named(versions, time_machine):
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    disable_any_version(version_id=versions[1].pk, actor=OPERATOR)
    assert disabled() == {versions[1].pk: now}
    time_machine.shift(60)
    disable_any_version(version_id=versions[1].pk, actor=OPERATOR)
    assert disabled() == {versions[1].pk: now}
    assert AuditEvent.objects.filter(action="secret.disable").count() == 2


def test_what_is_destroyed_or_not_there_cannot_be_disabled(versions):
    SecretVersion.objects.filter(pk=versions[0].pk).update(value=None, destroyed_at=timezone.now())
    for version_id in (versions[0].pk, uuid4()):
        with pytest.raises(NotFound, match=r"^There is no such version\.$"):
            disable_any_version(version_id=version_id, actor=OPERATOR)
    assert disabled() == {}
    assert not AuditEvent.objects.filter(action="secret.disable").exists()


def test_an_access_that_is_spent_while_a_version_is_disabled_stays_spent(
    alice, vault, versions, monkeypatch
):
    """Readers do not lock the secret, so a version is never written back as a whole."""
    found = lifecycle.find_version

    def and_somebody_reads(**which):
        version = found(**which)
        SecretVersion.objects.filter(pk=version.pk).update(access_count=F("access_count") + 1)
        return version

    monkeypatch.setattr(lifecycle, "find_version", and_somebody_reads)
    response = alice.api.post(f"/v1/vaults/{vault.pk}/secret-version-disable/a/2")
    assert response.status_code == 204
    assert SecretVersion.objects.get(pk=versions[1].pk).access_count == 1


def test_a_repeated_undelete_is_answered_as_the_first(alice, vault, versions):
    alice.api.delete(secret_url(vault, "a"))
    answers = [
        alice.api.post(f"/v1/vaults/{vault.pk}/secret-undelete/a", headers={"Idempotency-Key": "k"})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["version"] == 2


def test_an_undelete_that_comes_too_late_is_told_and_recorded(alice, vault, versions):
    from datetime import timedelta

    from secrets_app.models import Secret

    alice.api.delete(secret_url(vault, "a"))
    Secret.objects.filter(path="a").update(deleted_at=timezone.now() - timedelta(days=30))
    response = alice.api.post(f"/v1/vaults/{vault.pk}/secret-undelete/a")
    assert response.status_code == 410
    assert response.json()["detail"] == "The secret is not available any more: deleted."
    event = AuditEvent.objects.order_by("created_at").last()
    assert (event.action, event.outcome) == ("secret.undelete", "failure")
    assert event.details == {"path": "a", "reason": "deleted"}

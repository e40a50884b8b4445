"""What a purge takes and what it leaves, to the instant."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connections, transaction
from django.utils import timezone

from secrets_app.models import (
    AssertionUse,
    AuditEvent,
    IdempotencyKey,
    Policy,
    RevokedToken,
    Secret,
    SecretVersion,
    Vault,
    VaultKey,
)
from secrets_app.services.secrets.purge import count_purgeable, purge_deleted
from tests.api.test_assertion_sign_in import agent_id, identity, sign_in  # noqa: F401
from tests.cast import PASSWORD, Api, allow, body, secret_url, vault_of
from tests.issuers import claims_of, sign

RETENTION = timedelta(days=30)
TICK = timedelta(microseconds=1)
NOTHING = {
    "vaults": 0,
    "secrets": 0,
    "idempotency_keys": 0,
    "revoked_tokens": 0,
    "sign_in_sessions": 0,
    "device_requests": 0,
    "past_sign_ins": 0,
}


def purge(*arguments):
    """What manage.py purge_secrets says, which a dry run announced just before."""
    if not arguments:
        announced = purge("--dry-run")
    out = StringIO()
    call_command("purge_secrets", "--json", *arguments, stdout=out)
    said = json.loads(out.getvalue())
    assert arguments or said == announced
    return said


@pytest.fixture
def clock(time_machine):
    """Time stands still at a second; `clock(later)` moves it on from there."""
    start = timezone.now().replace(microsecond=0)
    time_machine.move_to(start, tick=False)
    return lambda later: time_machine.move_to(start + later, tick=False)


def test_a_deleted_secret_is_kept_to_the_end_of_its_retention(alice, vault, clock):
    alice.api.put(secret_url(vault, "a"), body("kept"))
    alice.api.delete(secret_url(vault, "a"))
    clock(RETENTION - TICK)
    assert purge() == NOTHING
    assert alice.api.post(f"/v1/vaults/{vault.pk}/secret-undelete/a").status_code == 200
    assert alice.api.get(secret_url(vault, "a")).json()["value"] == "kept"


def test_at_the_end_of_its_retention_it_cannot_be_undeleted_and_is_purged(alice, vault, clock):
    alice.api.put(secret_url(vault, "a"), body())
    alice.api.delete(secret_url(vault, "a"))
    clock(RETENTION)
    assert alice.api.post(f"/v1/vaults/{vault.pk}/secret-undelete/a").status_code == 410
    assert purge() == NOTHING | {"secrets": 1}
    assert not Secret.objects.exists()
    assert not SecretVersion.objects.exists()


def test_the_retention_is_that_of_the_settings(alice, vault, clock, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"DELETED_RETENTION_DAYS": 2}
    alice.api.put(secret_url(vault, "a"), body())
    alice.api.delete(secret_url(vault, "a"))
    clock(timedelta(days=2) - TICK)
    assert purge() == NOTHING
    clock(timedelta(days=2))
    assert purge() == NOTHING | {"secrets": 1}


def test_a_deleted_vault_is_kept_to_the_end_of_its_retention(alice, vault, clock):
    alice.api.put(secret_url(vault, "a"), body())
    alice.api.put(secret_url(vault, "b"), body())
    alice.api.delete(f"/v1/vaults/{vault.pk}")
    clock(RETENTION - TICK)
    assert purge() == NOTHING
    assert VaultKey.objects.get().state == "active"
    clock(RETENTION)
    assert purge() == NOTHING | {"vaults": 1, "secrets": 2}
    key = VaultKey.objects.get()
    assert (key.state, bytes(key.wrapped)) == ("destroyed", b"")
    assert Vault.objects.get().destroyed_at == timezone.now()
    assert not Secret.objects.exists()
    assert purge() == NOTHING


def test_several_vaults_and_what_is_in_them_are_counted_together(alice, vault, clock):
    empty, single = vault_of(alice, "empty"), vault_of(alice, "single")
    for where, path in ((vault, "a"), (vault, "b"), (single, "c")):
        alice.api.put(secret_url(where, path), body())
    for each in (vault, empty, single):
        alice.api.delete(f"/v1/vaults/{each.pk}")
    clock(RETENTION)
    assert purge() == NOTHING | {"vaults": 3, "secrets": 3}
    assert not Secret.objects.exists()


def test_a_secret_deleted_before_its_vault_goes_once(alice, vault, clock):
    alice.api.put(secret_url(vault, "a"), body())
    alice.api.put(secret_url(vault, "b"), body())
    alice.api.delete(secret_url(vault, "a"))
    alice.api.delete(f"/v1/vaults/{vault.pk}")
    clock(RETENTION)
    assert purge() == NOTHING | {"vaults": 1, "secrets": 2}
    assert AuditEvent.objects.filter(action="secret.purge").count() == 2


def test_what_lives_is_not_touched_however_old_it_is(alice, bob, vault, clock):
    alice.api.put(secret_url(vault, "a"), body("old"))
    allow(bob, vault, "**", "read")
    clock(RETENTION * 100)
    assert purge() == NOTHING
    assert bob.api.get(secret_url(vault, "a")).json()["value"] == "old"


def test_policies_and_kept_answers_go_with_their_vault_and_no_others(alice, bob, vault, clock):
    other = vault_of(alice, "other")
    for each in (vault, other):
        allow(bob, each, "**", "read")
    clock(RETENTION - timedelta(hours=1))
    for each in (vault, other):
        alice.api.put(secret_url(each), body(), headers={"Idempotency-Key": str(each.pk)})
    Vault.objects.filter(pk=vault.pk).update(deleted_at=timezone.now() - RETENTION)
    assert purge() == NOTHING | {"vaults": 1, "secrets": 1}
    assert Policy.objects.get().vault_id == other.pk
    assert IdempotencyKey.objects.get().vault_key.vault_id == other.pk
    assert VaultKey.objects.get(state="active").vault_id == other.pk


def test_each_purge_leaves_the_events_of_what_it_took(alice, vault, clock):
    alice.api.put(secret_url(vault, "a/b"), body())
    secret = Secret.objects.get()
    alice.api.delete(f"/v1/vaults/{vault.pk}")
    clock(RETENTION)
    purge()
    destroyed = AuditEvent.objects.get(action="vault.destroy")
    purged = AuditEvent.objects.get(action="secret.purge")
    for event in (destroyed, purged):
        assert (event.outcome, event.actor_type) == ("success", "operator")
        assert event.vault_id == vault.pk
    assert (destroyed.resource_type, destroyed.resource_id) == ("vault", vault.pk)
    assert destroyed.details == {}
    assert (purged.resource_type, purged.resource_id) == ("secret", secret.pk)
    assert purged.details == {"path": "a/b", "reason": "retention"}


def test_without_events_nothing_is_purged(alice, vault, clock, unwritable_log):
    from django.db import OperationalError

    alice.api.put(secret_url(vault, "a"), body())
    alice.api.delete(secret_url(vault, "a"))
    clock(RETENTION)
    with unwritable_log(), pytest.raises(OperationalError):
        purge_deleted(now=timezone.now(), on_progress=lambda _: None)
    assert SecretVersion.objects.count() == 1


def test_it_works_in_batches_and_tells_of_each(alice, vault, clock, monkeypatch):
    for number in range(5):
        alice.api.put(secret_url(vault, f"s{number}"), body())
        alice.api.delete(secret_url(vault, f"s{number}"))
    clock(RETENTION)
    monkeypatch.setattr("secrets_app.services.secrets.purge._BATCH", 2)
    told = []
    assert purge_deleted(now=timezone.now(), on_progress=told.append).secrets == 5
    assert told == [2, 2, 1]
    assert not Secret.objects.exists()


def test_statements_of_a_purge_grow_with_batches_and_not_with_secrets(
    alice, vault, clock, django_assert_max_num_queries
):
    for number in range(40):
        alice.api.put(secret_url(vault, f"s{number}"), body())
    Secret.objects.update(deleted_at=timezone.now())
    clock(RETENTION)
    with django_assert_max_num_queries(25):
        purge_deleted(now=timezone.now(), on_progress=lambda _: None)
    assert not Secret.objects.exists()


# Just revoked, about to end, ended, ended for nearly as long as the revocation is kept.
@pytest.mark.parametrize(
    "later",
    [
        timedelta(0),
        timedelta(minutes=15) - TICK,
        timedelta(minutes=15),
        timedelta(days=1, minutes=15),
    ],
)
def test_a_purge_brings_no_revoked_token_back(alice, clock, later):
    """Issue 14, point 16: a revocation outlives its token by a day, whatever a purge does."""
    token = alice.token  # for 15 minutes
    assert Api(token).delete("/v1/auth/token").status_code == 204
    clock(later)
    assert purge() == NOTHING
    assert RevokedToken.objects.count() == 1
    assert Api(token).get("/v1/auth/me").status_code == 401


def test_a_day_after_its_token_a_revocation_goes(alice, clock):
    assert alice.api.delete("/v1/auth/token").status_code == 204
    clock(timedelta(days=1, minutes=15) + TICK)
    assert purge() == NOTHING | {"revoked_tokens": 1}
    assert not RevokedToken.objects.exists()


def test_only_revocations_of_ended_tokens_go(alice, clock):
    assert alice.api.delete("/v1/auth/token").status_code == 204
    clock(timedelta(days=2))
    still_good = alice.token
    assert Api(still_good).delete("/v1/auth/token").status_code == 204
    assert purge() == NOTHING | {"revoked_tokens": 1}
    assert Api(still_good).get("/v1/auth/me").status_code == 401


def test_a_session_goes_a_day_after_its_end_and_is_no_longer_good_then(alice, clock):
    tokens = (
        Api().post("/v1/auth/token", {"email": "alice@example.com", "password": PASSWORD}).json()
    )
    assert Api(tokens["access_token"]).delete("/v1/auth/token").status_code == 204
    for later in (timedelta(minutes=5), timedelta(hours=12), timedelta(days=1, hours=12)):
        clock(later)
        assert purge()["sign_in_sessions"] == 0
        refused = Api().post("/v1/auth/refresh", {"refresh_token": tokens["refresh_token"]})
        assert refused.status_code == 401
    clock(timedelta(days=1, hours=12) + TICK)
    # With the revocations of its token and of itself.
    assert purge() == NOTHING | {"sign_in_sessions": 1, "revoked_tokens": 1}
    assert not RevokedToken.objects.exists()


def test_a_devices_codes_go_an_hour_after_their_end(alice, clock):
    assert Api().post("/v1/auth/device/code", {"client_id": "x"}).status_code == 200
    clock(timedelta(hours=1, minutes=10) - TICK)
    assert purge() == NOTHING
    clock(timedelta(hours=1, minutes=10))
    assert purge() == NOTHING | {"device_requests": 1}


def test_a_kept_answer_goes_after_a_day(alice, vault, clock):
    alice.api.put(secret_url(vault), body(), headers={"Idempotency-Key": "k"})
    clock(timedelta(hours=24) - TICK)
    assert purge() == NOTHING
    clock(timedelta(hours=24))
    assert purge() == NOTHING | {"idempotency_keys": 1}
    assert not IdempotencyKey.objects.exists()


def test_a_count_looks_at_the_time_that_it_is_given(alice, vault, clock):
    alice.api.put(secret_url(vault, "a"), body())
    alice.api.delete(secret_url(vault, "a"))
    assert count_purgeable(now=timezone.now() + RETENTION - TICK).secrets == 0
    assert count_purgeable(now=timezone.now() + RETENTION).secrets == 1


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_secret_that_somebody_is_reviving_is_left_to_them(alice, vault):
    from concurrent.futures import ThreadPoolExecutor

    for path in ("held", "free"):
        alice.api.put(secret_url(vault, path), body())
    Secret.objects.update(deleted_at=timezone.now() - RETENTION)

    def in_another_session():
        try:
            return purge_deleted(now=timezone.now(), on_progress=lambda _: None).secrets
        finally:
            connections.close_all()

    with transaction.atomic(), ThreadPoolExecutor(1) as pool:
        Secret.objects.select_for_update().get(path="held")
        assert pool.submit(in_another_session).result(timeout=30) == 1
    assert [secret.path for secret in Secret.objects.all()] == ["held"]


def test_two_purges_at_once_destroy_a_vault_once(alice, vault, clock, monkeypatch):
    from secrets_app.services.secrets import purge as module

    alice.api.delete(f"/v1/vaults/{vault.pk}")
    clock(RETENTION)
    shred = module._shred

    def after_another(vault_id, now):
        assert shred(vault_id, now) == 1
        return shred(vault_id, now)

    monkeypatch.setattr(module, "_shred", after_another)
    assert purge_deleted(now=timezone.now(), on_progress=lambda _: None).vaults == 0
    assert AuditEvent.objects.filter(action="vault.destroy").count() == 1


def test_a_sign_in_is_remembered_while_its_token_or_the_assertion_could_be_used(
    alice,
    agent_id,  # noqa: F811
    issuer,
    clock,
):
    """One that may sign in once must not be forgotten while it could sign in again, nor a token that ends
    with its identity."""
    short, long = {"max_age_seconds": 60}, {"max_age_seconds": 10_000}
    made = [
        identity(alice, agent_id, issuer, single_use=True, audience=audience, **more).json()
        for audience, more in (("short", short), ("long", long))
    ]
    tokens = [
        sign("ed25519", claims_of(issuer.url, aud=audience, jti=audience, exp=2**40))
        for audience in ("short", "long")
    ]
    first = sign_in(agent_id, tokens[0]).json()
    assert sign_in(agent_id, tokens[1]).status_code == 200
    assert first["expires_in"] == 3600
    ends = {str(each.identity_id): each.expires_at - timezone.now() for each in uses()}
    assert ends == {
        made[0]["id"]: timedelta(seconds=3600),
        made[1]["id"]: timedelta(seconds=10_000),
    }
    day = timedelta(days=1)
    clock(timedelta(seconds=3600) + day)
    assert purge() == NOTHING
    clock(timedelta(seconds=3600) + day + TICK)
    assert purge() == NOTHING | {"past_sign_ins": 1}
    clock(timedelta(seconds=10_000) + day + TICK)
    assert purge() == NOTHING | {"past_sign_ins": 1}
    assert not uses()


def uses():
    return list(AssertionUse.objects.all())

import hashlib
import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.utils import timezone

from secrets_app.models import IdempotencyKey, Policy, Secret, SecretVersion, Vault, VaultKey
from secrets_app.services.transactions import idempotency
from secrets_app.services.transactions.idempotency import (
    CLAIM_LASTS,
    KEPT_FOR,
    IdempotencyClaim,
    forget_old_keys,
)
from tests.api.test_concurrency import all_at_once
from tests.cast import Api, allow, body, secret_url, vault_of


def put(api, vault, value="x", key="k1", path="a", **fields):
    return api.put(secret_url(vault, path), body(value, **fields), headers={"Idempotency-Key": key})


def test_a_repeat_gets_the_first_answer_and_does_nothing(alice, vault):
    first = put(alice.api, vault)
    put(alice.api, vault, "other", key="k2")
    again = put(alice.api, vault)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again["ETag"] == first["ETag"] == '"1"'
    assert SecretVersion.objects.count() == 2


def test_the_order_and_spacing_of_a_body_make_no_other_body(alice, vault):
    headers = {"Idempotency-Key": "k"}
    url = secret_url(vault)
    one = alice.api.put(url, '{"type":"note","value":"x"}', headers=headers)
    two = alice.api.put(url, '{ "value": "\\u0078", "type": "note" }', headers=headers)
    assert one.json() == two.json()


@pytest.mark.parametrize(
    "other",
    [
        lambda api, vault: put(api, vault, "another value"),
        lambda api, vault: put(api, vault, metadata={"a": 1}),
        lambda api, vault: put(api, vault, path="b"),
        lambda api, vault: api.post("/v1/vaults", {"name": "x"}, headers={"Idempotency-Key": "k1"}),
    ],
)
def test_the_same_key_for_another_request_is_422(alice, vault, other):
    put(alice.api, vault)
    response = other(alice.api, vault)
    assert response.status_code == 422
    assert response["Content-Type"] == "application/problem+json"
    assert SecretVersion.objects.count() == 1
    assert Vault.objects.count() == 1


def test_keys_belong_to_their_principal(alice, bob, vault):
    allow(bob, vault, "**", "write")
    for _ in range(2):
        assert put(alice.api, vault, "one").json()["version"] == 1
        assert put(bob.api, vault, "two").json()["version"] == 2


def test_a_repeat_is_judged_anew(alice, bob, vault):
    policy = allow(bob, vault, "**", "write")
    api = bob.api
    assert put(api, vault).status_code == 201
    policy.delete()
    assert put(api, vault).status_code == 403


def test_a_failure_is_not_kept(alice, vault):
    assert put(alice.api, vault, max_access_count=0).status_code == 400
    headers = {"Idempotency-Key": "k", "If-Match": '"1"'}
    assert alice.api.put(secret_url(vault), body(), headers=headers).status_code == 412
    put(alice.api, vault, key="k0", path="api-keys/openai")
    assert alice.api.put(secret_url(vault), body(), headers=headers).status_code == 201


def test_a_crash_inside_leaves_the_key_free(alice, vault, monkeypatch):
    def fail(*args, **kwargs):
        raise OperationalError

    with monkeypatch.context() as patch:
        patch.setattr("secrets_app.crypto.keyring.Keyring.seal", fail)
        assert put(alice.api, vault).status_code == 500
    assert not IdempotencyKey.objects.exists()
    assert put(alice.api, vault).status_code == 201


def test_a_client_whose_connection_broke_after_the_commit_finds_the_answer(
    alice, vault, monkeypatch
):
    """The answer is made, committed and lost on the way: the retry of the client is harmless."""

    def lose(answer):
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr("secrets_app.api.views.base._response", lose)
        assert put(alice.api, vault).status_code == 500
    assert put(alice.api, vault).json()["version"] == 1
    assert SecretVersion.objects.count() == 1


def test_while_the_first_is_running_a_repeat_is_409_with_a_time_to_come_back(
    alice, vault, monkeypatch
):
    inner = []
    api = alice.api
    complete = IdempotencyClaim.complete

    def repeat_meanwhile(self, result):
        if not inner:
            inner.append(put(Api(api.bearer), vault))
        complete(self, result)

    monkeypatch.setattr(IdempotencyClaim, "complete", repeat_meanwhile)
    assert put(api, vault).status_code == 201
    assert inner[0].status_code == 409
    assert inner[0]["Retry-After"] == "1"
    assert SecretVersion.objects.count() == 1


def test_a_request_that_died_midway_is_carried_out_by_a_later_repeat(alice, vault):
    put(alice.api, vault, key="k2")
    IdempotencyKey.objects.update(status=None, body=None, claimed_at=timezone.now())
    assert put(alice.api, vault, key="k2").status_code == 409
    IdempotencyKey.objects.update(claimed_at=timezone.now() - CLAIM_LASTS)
    assert put(alice.api, vault, key="k2").json()["version"] == 2


def test_a_key_is_taken_over_after_its_time_to_the_instant(alice, vault, time_machine):
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    put(alice.api, vault, "one")
    time_machine.move_to(now + KEPT_FOR - timedelta(microseconds=1), tick=False)
    assert put(alice.api, vault, "two").status_code == 422
    time_machine.move_to(now + KEPT_FOR, tick=False)
    assert put(alice.api, vault, "two").json()["version"] == 2
    IdempotencyKey.objects.update(status=None, body=None)
    time_machine.move_to(now + KEPT_FOR + CLAIM_LASTS - timedelta(microseconds=1), tick=False)
    assert put(alice.api, vault, "two").status_code == 409
    time_machine.move_to(now + KEPT_FOR + CLAIM_LASTS, tick=False)
    assert put(alice.api, vault, "two").json()["version"] == 3


def test_a_key_that_was_taken_over_is_that_of_the_new_request(alice, vault):
    """All of the old one is replaced: its time, its vault, and what it asked for."""
    other = vault_of(alice, "other")
    put(alice.api, vault)
    IdempotencyKey.objects.update(created_at=timezone.now() - KEPT_FOR)
    for _ in range(2):
        assert put(alice.api, other, "another value").json()["version"] == 1
    assert SecretVersion.objects.filter(vault=other).count() == 1
    assert IdempotencyKey.objects.get().vault_key.vault_id == other.pk


@pytest.fixture
def meanwhile(monkeypatch):
    """Does something between the look at a known key and what follows from it."""

    def arrange(happens):
        real = idempotency._is_same

        def is_same(known, digest):
            happens()
            return real(known, digest)

        monkeypatch.setattr(idempotency, "_is_same", is_same)

    return arrange


@pytest.mark.parametrize("changes", [{"claim": uuid4()}, {"status": 201, "body": {"version": 1}}])
def test_who_takes_over_is_one_and_comes_before_the_first_is_done(alice, vault, meanwhile, changes):
    """Somebody else was faster: one more repeat, or the first request, which was only slow."""
    put(alice.api, vault)
    dead = {"status": None, "body": None, "claimed_at": timezone.now() - CLAIM_LASTS}
    IdempotencyKey.objects.update(**dead)
    meanwhile(lambda: IdempotencyKey.objects.update(**changes))
    assert put(alice.api, vault).status_code == 409
    assert SecretVersion.objects.count() == 1


def test_while_the_one_that_took_over_is_running_nobody_takes_over(alice, vault, monkeypatch):
    put(alice.api, vault)
    dead = {"status": None, "body": None, "claimed_at": timezone.now() - CLAIM_LASTS}
    IdempotencyKey.objects.update(**dead)
    inner, api, complete = [], alice.api, IdempotencyClaim.complete

    def repeat_meanwhile(self, result):
        inner.append(put(Api(api.bearer), vault).status_code)
        complete(self, result)

    monkeypatch.setattr(IdempotencyClaim, "complete", repeat_meanwhile)
    assert put(api, vault).status_code == 201
    assert inner == [409]


def test_one_that_was_overtaken_and_fails_leaves_the_key_to_the_other(alice, vault, monkeypatch):
    release = IdempotencyClaim.release

    def overtaken(self):
        IdempotencyKey.objects.update(claim=uuid4())
        release(self)

    monkeypatch.setattr(IdempotencyClaim, "release", overtaken)
    headers = {"Idempotency-Key": "k", "If-Match": '"1"'}
    assert alice.api.put(secret_url(vault), body(), headers=headers).status_code == 412
    assert IdempotencyKey.objects.exists()


def test_one_that_was_overtaken_changes_nothing_any_more(alice, vault, monkeypatch):
    complete = IdempotencyClaim.complete
    overtaken = []

    def overtake(self, result):
        if not overtaken:
            overtaken.append(True)
            IdempotencyKey.objects.update(claim="00000000-0000-4000-8000-000000000000")
        complete(self, result)

    monkeypatch.setattr(IdempotencyClaim, "complete", overtake)
    assert put(alice.api, vault).status_code == 409
    assert not SecretVersion.objects.exists()


def test_a_key_is_forgotten_after_a_day(alice, vault):
    put(alice.api, vault)
    old = timezone.now() - KEPT_FOR
    IdempotencyKey.objects.update(created_at=old + timedelta(seconds=30))
    assert put(alice.api, vault).json()["version"] == 1
    IdempotencyKey.objects.update(created_at=old)
    assert put(alice.api, vault, "another value").json()["version"] == 2
    IdempotencyKey.objects.update(created_at=old)
    assert forget_old_keys() == 1


def test_using_a_key_forgets_old_ones_of_the_same_principal_and_no_others(alice, bob, vault):
    allow(bob, vault, "**", "write")
    for api, key in ((alice.api, "old"), (bob.api, "old"), (alice.api, "kept")):
        put(api, vault, key=key)
    old = IdempotencyKey.objects.filter(key_digest=hashlib.sha256(b"old").hexdigest())
    old.update(created_at=timezone.now() - KEPT_FOR)
    put(alice.api, vault, key="new")
    assert [each.principal_id for each in old] == [bob.principal.pk]
    assert IdempotencyKey.objects.filter(principal=alice.principal).count() == 2


def test_what_a_key_stood_for_and_cannot_be_told_any_more_is_not_answered_with(alice, vault):
    """Its vault's key is destroyed, or the row was changed in the database."""
    other = vault_of(alice, "other")
    put(alice.api, vault, "of the first")
    IdempotencyKey.objects.update(request_digest=b"x" * 60)
    assert put(alice.api, vault, "of the first").status_code == 422
    VaultKey.objects.filter(vault=vault).update(state=VaultKey.State.DESTROYED)
    assert put(alice.api, other, "of the first").status_code == 422


def test_nothing_that_is_kept_tells_the_value(alice, vault):
    put(alice.api, vault, "hunter2")
    kept = IdempotencyKey.objects.get()
    assert "hunter2" not in json.dumps(kept.body)
    # A bare digest of a short value could be guessed: it is sealed under the vault's key.
    request = ["PUT", secret_url(vault, "a"), None, None, body("hunter2")]
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).digest()
    assert digest not in bytes(kept.request_digest)
    assert len(bytes(kept.request_digest)) == 32 + 28


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256, "a\tb"])
def test_a_malformed_key_is_400(alice, vault, key):
    response = put(alice.api, vault, key=key)
    assert response.status_code == 400
    assert not Secret.objects.exists()


@pytest.mark.parametrize(
    "key", ["x" * 255, "8e03978e-40d5-43dd-bc93-6894a57f9324", '"quoted"', "1"]
)
def test_any_visible_text_is_a_key(alice, vault, key):
    assert put(alice.api, vault, key=key).status_code == 201
    assert put(alice.api, vault, key=key).json()["version"] == 1


def test_every_post_that_changes_something_takes_a_key(alice, bob, vault):
    policy = {
        "secret_path_pattern": "**",
        "principal_type": "user",
        "principal_id": str(bob.principal.pk),
        "permissions": ["read"],
    }
    put(alice.api, vault, key="first")
    base = f"/v1/vaults/{vault.id}"
    cases = [
        ("/v1/vaults", {"name": "made once"}),
        (f"{base}/secret-rotate/a", {}),
        (f"{base}/secret-version-disable/a/1", None),
        (f"{base}/secrets:batchWrite", {"secrets": [{"path": "b"} | body()]}),
        (f"{base}/policies", policy),
    ]
    for number, (url, content) in enumerate(cases):
        headers = {"Idempotency-Key": f"case-{number}"}
        one = alice.api.post(url, content, headers=headers)
        two = alice.api.post(url, content, headers=headers)
        assert one.status_code == two.status_code, url
        assert one.content == two.content, url
    alice.api.delete(secret_url(vault, "a"))
    headers = {"Idempotency-Key": "undelete"}
    one = alice.api.post(f"{base}/secret-undelete/a", headers=headers)
    two = alice.api.post(f"{base}/secret-undelete/a", headers=headers)
    assert (one.status_code, two.status_code) == (200, 200)
    assert Vault.objects.filter(name="made once").count() == 1
    assert SecretVersion.objects.filter(secret__path="b").count() == 1
    assert Policy.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_repeats_at_once_one_writes_and_the_others_wait_or_see_its_answer(alice, vault):
    token = alice.token
    answers = all_at_once(lambda _: put(Api(token), vault), 16)
    assert {answer.status_code for answer in answers} <= {201, 409}
    written = [answer for answer in answers if answer.status_code == 201]
    assert written
    assert {answer.json()["version"] for answer in written} == {1}
    assert SecretVersion.objects.count() == 1
    assert put(alice.api, vault).json() == written[0].json()

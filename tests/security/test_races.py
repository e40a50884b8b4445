"""64 clients on one thing at the same moment, each with a database connection of its own."""

import time
from collections import Counter

import pytest

from secrets_app.models import AuditEvent, Secret, SecretVersion
from tests.api.test_concurrency import CLIENTS, all_at_once
from tests.cast import Api, allow, body, secret_url

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_access_is_checked_and_spent_in_one_step_whatever_the_route(alice, vault):
    """Published audits of this API family."""
    alice.api.put(secret_url(vault, "a"), body("hunter2", max_access_count=10))
    token, base = alice.token, f"/v1/vaults/{vault.pk}"

    def read(n):
        api = Api(token)
        if n % 3 == 0:
            return api.get(f"{base}/secrets/a").json().get("value")
        if n % 3 == 1:
            return api.get(f"{base}/secret-version/a/1").json().get("value")
        found = api.post(f"{base}/secrets:batchRead", {"paths": ["a"]}).json()["secrets"]
        return found[0]["value"] if found else None

    assert Counter(all_at_once(read)) == {"hunter2": 10, None: CLIENTS - 10}
    assert SecretVersion.objects.get().access_count == 10
    assert AuditEvent.objects.filter(action="secret.read", outcome="success").count() == 10


def test_every_way_to_write_takes_a_number_of_its_own(alice, vault):
    alice.api.put(secret_url(vault, "a"), body("first"))
    token, base = alice.token, f"/v1/vaults/{vault.pk}"

    def write(n):
        api = Api(token)
        if n % 3 == 0:
            return api.put(f"{base}/secrets/a", body(str(n))).json()["version"]
        if n % 3 == 1:
            return api.post(f"{base}/secret-rotate/a").json()["version"]
        items = [{"path": path} | body(str(n)) for path in ("b", "a")]
        answer = api.post(f"{base}/secrets:batchWrite", {"secrets": items}).json()
        return next(each["version"] for each in answer["secrets"] if each["path"] == "a")

    assert sorted(all_at_once(write)) == list(range(2, CLIENTS + 2))
    numbers = SecretVersion.objects.filter(secret__path="a").values_list("number", flat=True)
    assert sorted(numbers) == list(range(1, CLIENTS + 2))


@pytest.mark.parametrize("header", [{"If-Match": '"1"'}, {"If-None-Match": "*"}])
def test_one_of_64_writes_with_the_same_precondition_wins(alice, vault, header):
    if "If-Match" in header:
        alice.api.put(secret_url(vault), body("first"))
    token = alice.token
    answers = all_at_once(lambda n: Api(token).put(secret_url(vault), body(str(n)), headers=header))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 412: CLIENTS - 1}
    winner = next(n for n, answer in enumerate(answers) if answer.status_code == 201)
    assert alice.api.get(secret_url(vault)).json()["value"] == str(winner)


def test_64_requests_with_one_idempotency_key_are_carried_out_once(alice, vault):
    token = alice.token
    answers = all_at_once(
        lambda _: Api(token).put(secret_url(vault), body(), headers={"Idempotency-Key": "once"})
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    given = {answer.content for answer in answers if answer.status_code == 201}
    assert len(given) == 1
    assert SecretVersion.objects.count() == 1
    again = alice.api.put(secret_url(vault), body(), headers={"Idempotency-Key": "once"})
    assert {again.content} == given


def test_deletes_and_writes_leave_one_of_both_states(alice, vault):
    alice.api.put(secret_url(vault), body("first"))
    token = alice.token

    def work(n):
        api = Api(token)
        if n % 2:
            return api.delete(secret_url(vault)).status_code
        return api.put(secret_url(vault), body(str(n))).status_code

    answers = all_at_once(work)
    assert set(answers[0::2]) == {201}
    assert set(answers[1::2]) <= {204, 404}
    numbers = SecretVersion.objects.values_list("number", flat=True)
    assert sorted(numbers) == list(range(1, CLIENTS // 2 + 2))
    secret = Secret.objects.get()
    assert secret.current_version == max(numbers)
    response = alice.api.get(secret_url(vault))
    assert response.status_code == (200 if secret.deleted_at is None else 410)


def after_the_end(act, end):
    """63 clients act over and over while one, who acts once as well, ends what they act by.

    Returns what was answered to those who began before the end was acknowledged, and after.
    """
    ended = []

    def work(n):
        if n == 0:
            seen = [(time.monotonic(), act())]
            end()
            ended.append(time.monotonic())
            return seen
        seen = []
        while not (ended and seen) or seen[-1][0] < ended[0]:
            seen.append((time.monotonic(), act()))
        return seen

    seen = [each for result in all_at_once(work) for each in result]
    before = [answer for began, answer in seen if began < ended[0]]
    return before, [answer for began, answer in seen if began >= ended[0]]


def test_a_policy_that_is_revoked_under_64_readers_is_refused_from_then_on(alice, bob, vault):
    alice.api.put(secret_url(vault), body())
    policy = allow(bob, vault, "**", "read")
    token, owner = bob.token, alice.api
    before, after = after_the_end(
        lambda: Api(token).get(secret_url(vault)).status_code,
        lambda: owner.delete(f"/v1/vaults/{vault.pk}/policies/{policy.pk}"),
    )
    assert set(before) <= {200, 403}
    assert 200 in before
    assert len(after) >= CLIENTS - 1
    assert set(after) == {403}


def test_a_key_that_is_revoked_under_64_sign_ins_lets_nobody_in_from_then_on(alice):
    made = alice.api.post("/v1/auth/api-keys", {"name": "ci"}).json()
    owner, tokens = alice.api, []

    def sign_in():
        answer = Api().post("/v1/auth/api-key-token", {"api_key": made["api_key"]})
        if answer.status_code == 200:
            tokens.append(answer.json()["access_token"])
        return answer.status_code

    before, after = after_the_end(
        sign_in, lambda: owner.delete(f"/v1/auth/api-keys/{made['key']['id']}")
    )
    assert 200 in before
    assert set(after) == {401}
    # Nor does what was given out before, or in the very moment.
    assert {Api(token).get("/v1/auth/me").status_code for token in tokens[-30:]} == {401}

"""What an attacker found, issue 14, point 14: what who may only rotate can do to a secret."""

import math
import re
from datetime import UTC, datetime, timedelta

import pytest

from secrets_app.models import AuditEvent, SecretVersion
from secrets_app.services.secrets.generate import CHARSETS
from tests.cast import allow, body, secret_url

SHORTEST = {"hex": 32, "base64": 22, "alphanumeric": 22, "ascii": 20}


@pytest.fixture
def rotator(bob, vault):
    allow(bob, vault, "**", "rotate")
    return bob


def written(alice, vault, **fields):
    assert alice.api.put(secret_url(vault, "db"), body("old", **fields)).status_code == 201


def rotate(who, vault, recipe=None):
    return who.api.post(f"/v1/vaults/{vault.id}/secret-rotate/db", recipe)


def current():
    return SecretVersion.objects.select_related("secret").order_by("number").last()


def test_without_a_recipe_a_value_of_128_bits_is_drawn(alice, rotator, vault):
    written(alice, vault)
    assert rotate(rotator, vault).status_code == 201
    value = alice.api.get(secret_url(vault, "db")).json()["value"]
    assert re.fullmatch("[0-9a-f]{32}", value)


@pytest.mark.parametrize(("charset", "length"), SHORTEST.items())
def test_a_value_that_can_be_guessed_takes_write(alice, rotator, vault, charset, length):
    assert length == math.ceil(128 / math.log2(len(CHARSETS[charset])))
    written(alice, vault)
    weak = rotate(rotator, vault, {"charset": charset, "length": length - 1})
    assert weak.status_code == 403
    assert str(length) in weak.json()["detail"]
    assert current().number == 1
    event = AuditEvent.objects.get(action="secret.rotate")
    assert (event.outcome, event.details) == ("denied", {"reason": "Forbidden", "path": "db"})
    assert rotate(rotator, vault, {"charset": charset, "length": length}).status_code == 201
    assert rotate(alice, vault, {"charset": charset, "length": 8}).status_code == 201


def test_another_type_takes_write_and_the_same_does_not(alice, rotator, vault):
    written(alice, vault)
    assert rotate(rotator, vault, {"type": "note"}).status_code == 403
    assert current().number == 1
    assert rotate(rotator, vault, {"type": "password"}).status_code == 201
    assert (current().number, current().type) == (2, "password")
    assert rotate(alice, vault, {"type": "note"}).status_code == 201
    assert current().type == "note"


def test_expiry_and_the_accesses_that_are_left_are_kept(alice, rotator, vault):
    written(alice, vault, expires_at="2990-01-01T00:00:00Z", max_access_count=3)
    assert alice.api.get(secret_url(vault, "db")).status_code == 200
    assert [rotate(rotator, vault).status_code for _ in range(2)] == [201, 201]
    assert (current().number, current().max_access_count) == (3, 2)
    assert current().expires_at == datetime(2990, 1, 1, tzinfo=UTC)
    statuses = [alice.api.get(secret_url(vault, "db")).status_code for _ in range(3)]
    assert statuses == [200, 200, 410]
    # Nothing is left, so rotating brings nothing back.
    assert rotate(rotator, vault).status_code == 410


@pytest.mark.parametrize("ended", ["expired", "used_up", "disabled"])
def test_what_cannot_be_read_any_more_is_not_brought_back(alice, rotator, vault, ended):
    written(alice, vault, max_access_count=1)
    if ended == "expired":
        past = datetime.now(UTC) - timedelta(seconds=1)
        SecretVersion.objects.update(expires_at=past)
    elif ended == "used_up":
        assert alice.api.get(secret_url(vault, "db")).status_code == 200
    else:
        alice.api.post(f"/v1/vaults/{vault.id}/secret-version-disable/db/1")
    answer = rotate(rotator, vault)
    assert (answer.status_code, current().number) == (410, 1)
    assert ended.replace("_", " ") in answer.json()["detail"]
    # The owner may write, and begins anew.
    assert rotate(alice, vault).status_code == 201
    assert alice.api.get(secret_url(vault, "db")).status_code == 200


def test_who_may_write_too_lifts_the_bounds(alice, rotator, vault):
    written(alice, vault, expires_at="2990-01-01T00:00:00Z", max_access_count=3)
    writes = allow(rotator, vault, "db", "write")
    assert rotate(rotator, vault, {"length": 8, "type": "note"}).status_code == 201
    now = current()
    assert (now.type, now.expires_at, now.max_access_count) == ("note", None, None)
    writes.delete()
    assert rotate(rotator, vault, {"length": 8}).status_code == 403


def test_a_repeat_with_the_same_key_gets_the_first_answer(alice, rotator, vault):
    written(alice, vault, max_access_count=3)
    url = f"/v1/vaults/{vault.id}/secret-rotate/db"
    headers = {"Idempotency-Key": "once"}
    first = rotator.api.post(url, {}, headers=headers)
    assert rotator.api.post(url, {}, headers=headers).json() == first.json()
    assert current().number == 2

from datetime import UTC, datetime, timedelta

import jwt
import pytest
from django.contrib.auth import hashers

from secrets_app.models import AuditEvent
from tests.cast import PASSWORD, Api


def with_password(api, email="alice@example.com", password=PASSWORD, **extra):
    return api.post("/v1/auth/token", {"email": email, "password": password}, **extra)


def with_key(api, key, **extra):
    return api.post("/v1/auth/api-key-token", {"api_key": key}, **extra)


def test_a_password_gives_a_token_that_works(alice, nobody):
    response = with_password(nobody)
    assert response.status_code == 200
    answer = response.json()
    assert set(answer) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 900)
    assert response["Cache-Control"] == "no-store"
    assert Api(answer["access_token"]).get("/v1/vaults").status_code == 200


def test_an_api_key_gives_a_token_that_works(alice, nobody):
    answer = with_key(nobody, alice.raw_key).json()
    assert set(answer) == {"access_token", "token_type", "expires_in"}
    assert Api(answer["access_token"]).get("/v1/vaults").status_code == 200


def test_a_raw_personal_key_is_accepted_as_bearer(alice):
    assert Api(alice.raw_key).get("/v1/vaults").status_code == 200


@pytest.mark.parametrize("email", ["ALICE@EXAMPLE.COM", " alice@Example.com "])
def test_an_address_is_one_identity_however_it_is_spelled(alice, nobody, email):
    assert with_password(nobody, email).status_code == 200


def test_every_wrong_credential_gets_the_same_401(alice, robot, nobody):
    answers = [
        with_password(nobody, password="wrong"),
        with_password(nobody, email="unknown@example.com"),
        with_password(nobody, password=PASSWORD + " "),
        with_key(nobody, "1ck_unknown"),
        with_key(nobody, alice.raw_key[:-1]),
        with_key(nobody, robot.raw_key),
        with_key(nobody, "x"),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({str(answer.json() | {"instance": ""}) for answer in answers}) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"email": "a@example.com"},
        {"email": 1, "password": []},
        {"email": None, "password": None},
        {"email": "a\0b", "password": "x"},
        {"email": "a" * 255, "password": "x"},
        {"email": "a", "password": "x" * 1025},
        {"email": "a", "password": "x", "remember": True},
    ],
)
def test_a_malformed_sign_in_is_400_and_repeats_nothing(nobody, fields):
    response = nobody.post("/v1/auth/token", fields)
    assert response.status_code == 400
    assert response.json()["errors"]
    for value in fields.values():
        if isinstance(value, str) and len(value) > 100:
            assert value not in response.content.decode()


def test_a_stale_token_does_not_keep_anybody_from_signing_in(alice):
    assert with_password(Api("expired.or.broken")).status_code == 200


def test_passwords_are_hashed_with_argon2_in_production():
    from vaultsite import settings

    assert settings.PASSWORD_HASHERS[0].endswith("Argon2PasswordHasher")


def test_an_unknown_account_costs_a_password_hash_too(alice, nobody, monkeypatch):
    hashed = []
    hasher = type(hashers.get_hasher())
    encode = hasher.encode

    def count(self, password, salt):
        hashed.append(1)
        return encode(self, password, salt)

    monkeypatch.setattr(hasher, "encode", count)
    with_password(nobody, password="wrong")
    known = len(hashed)
    with_password(nobody, email="unknown@example.com", password="wrong")
    assert known == 1
    assert len(hashed) == 2


def test_an_inactive_person_cannot_sign_in(alice, nobody):
    alice.user.is_active = False
    alice.user.save()
    assert with_password(nobody).status_code == 401
    assert with_key(nobody, alice.raw_key).status_code == 401
    assert Api(alice.raw_key).get("/v1/vaults").status_code == 401


def test_a_revoked_key_gives_no_token(alice, nobody):
    alice.key.revoked_at = datetime.now(UTC)
    alice.key.save()
    assert with_key(nobody, alice.raw_key).status_code == 401


def test_an_expired_key_gives_no_token_from_that_second_on(alice, nobody, time_machine):
    end = datetime(2027, 1, 1, tzinfo=UTC)
    alice.key.expires_at = end
    alice.key.save()
    time_machine.move_to(end - timedelta(microseconds=1), tick=False)
    assert with_key(nobody, alice.raw_key).status_code == 200
    time_machine.move_to(end, tick=False)
    assert with_key(nobody, alice.raw_key).status_code == 401
    assert Api(alice.raw_key).get("/v1/vaults").status_code == 401


def test_a_token_ends_with_its_key_at_the_latest(alice, nobody, time_machine):
    start = datetime(2027, 1, 1, tzinfo=UTC)
    time_machine.move_to(start, tick=False)
    alice.key.expires_at = start + timedelta(seconds=60)
    alice.key.save()
    answer = with_key(nobody, alice.raw_key).json()
    assert answer["expires_in"] == 60
    assert jwt.decode(answer["access_token"], options={"verify_signature": False})["exp"] == int(
        (start + timedelta(seconds=60)).timestamp()
    )


def test_signing_in_leaves_an_event_with_the_same_fields_for_each_way(alice, nobody):
    with_password(nobody, REMOTE_ADDR="192.0.2.9")
    with_key(nobody, alice.raw_key, REMOTE_ADDR="192.0.2.9")
    events = AuditEvent.objects.filter(action="auth.success").order_by("created_at")
    assert [event.details for event in events] == [{"method": "password"}, {"method": "api_key"}]
    for event in events:
        assert (event.actor_id, event.actor_type) == (alice.principal.id, "user")
        assert event.resource_id == alice.principal.id
        assert event.ip_address == "192.0.2.9"
        assert event.request_id is not None


def test_a_failure_leaves_an_event_with_its_reason_and_the_account_where_known(alice, nobody):
    with_password(nobody, password="wrong")
    with_password(nobody, email="unknown@example.com")
    with_key(nobody, "1ck_unknown")
    events = AuditEvent.objects.filter(action="auth.failure").order_by("created_at")
    assert [(e.actor_id, e.details["reason"]) for e in events] == [
        (alice.principal.id, "bad_credentials"),
        (None, "bad_credentials"),
        (None, "unknown_key"),
    ]
    assert {e.outcome for e in events} == {"failure"}

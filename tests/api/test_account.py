from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from secrets_app.models import ApiKey, AuditEvent
from tests.cast import PASSWORD, Api, person

NEW = "another long passphrase"


def create_key(owner, **fields):
    return owner.api.post("/v1/auth/api-keys", {"name": "laptop"} | fields)


def change(api, current=PASSWORD, new=NEW):
    content = {"current_password": current, "new_password": new}
    return api.post("/v1/auth/change-password", content)


# --- keys -----------------------------------------------------------------------------------------


def test_a_key_is_shown_once_and_works(alice):
    response = create_key(alice, expires_at="2099-01-01T00:00:00Z")
    assert response.status_code == 201
    assert response["Cache-Control"] == "no-store"
    answer = response.json()
    assert answer["api_key"].startswith("1ck_")
    assert set(answer["key"]) == {
        "id",
        "name",
        "key_prefix",
        "is_active",
        "created_at",
        "expires_at",
        "parent_id",
    }
    assert answer["api_key"].startswith(answer["key"]["key_prefix"])
    assert Api(answer["api_key"]).get("/v1/auth/me").status_code == 200
    listed = alice.api.get("/v1/auth/api-keys")
    assert answer["api_key"] not in listed.content.decode()
    assert answer["key"]["id"] in [key["id"] for key in listed.json()["keys"]]
    assert not ApiKey.objects.filter(digest__contains=answer["api_key"]).exists()


def test_a_revoked_key_and_its_tokens_end_on_the_next_request(alice):
    made = create_key(alice).json()
    exchanged = Api().post("/v1/auth/api-key-token", {"api_key": made["api_key"]}).json()
    bearers = [made["api_key"], exchanged["access_token"]]
    assert [Api(b).get("/v1/auth/me").status_code for b in bearers] == [200, 200]
    url = f"/v1/auth/api-keys/{made['key']['id']}"
    assert alice.api.delete(url).status_code == 204
    assert [Api(b).get("/v1/auth/me").status_code for b in bearers] == [401, 401]
    assert made["key"]["id"] not in str(alice.api.get("/v1/auth/api-keys").json())
    assert alice.api.delete(url).status_code == 404
    assert AuditEvent.objects.get(action="key.revoke").actor_id == alice.principal.id


def test_keys_are_listed_oldest_first(alice, time_machine):
    start = datetime(2027, 1, 1, tzinfo=UTC)
    for n in (3, 1, 4, 2, 5):
        time_machine.move_to(start + timedelta(minutes=n), tick=False)
        create_key(alice, name=f"key {n}")
    listed = [key["name"] for key in alice.api.get("/v1/auth/api-keys").json()["keys"]]
    assert listed == ["laptop", *(f"key {n}" for n in range(1, 6))]


def test_keys_of_others_are_not_there(alice, bob):
    made = create_key(alice).json()
    for key_id in (made["key"]["id"], uuid4()):
        refused = bob.api.delete(f"/v1/auth/api-keys/{key_id}")
        assert (refused.status_code, refused.json()["detail"]) == (404, "There is no such key.")
    assert made["key"]["id"] not in str(bob.api.get("/v1/auth/api-keys").json())
    assert Api(made["api_key"]).get("/v1/auth/me").status_code == 200


@pytest.mark.parametrize(
    "fields", [{"name": ""}, {"name": None}, {"name": 5}, {"expires_at": "x"}, {"scopes": []}]
)
def test_a_bad_key_is_400(alice, fields):
    assert create_key(alice, **fields).status_code == 400


def test_the_last_use_is_kept_without_a_write_on_every_request(
    alice, time_machine, django_assert_num_queries
):
    start = datetime(2027, 1, 1, tzinfo=UTC)
    time_machine.move_to(start, tick=False)

    def last_used():
        return ApiKey.objects.get(pk=alice.key.pk).last_used_at

    assert last_used() is None
    Api(alice.raw_key).get("/v1/auth/me")
    assert last_used() == start
    time_machine.move_to(start + timedelta(minutes=9), tick=False)
    Api(alice.raw_key).get("/v1/auth/me")
    assert last_used() == start
    time_machine.move_to(start + timedelta(minutes=10), tick=False)
    Api().post("/v1/auth/api-key-token", {"api_key": alice.raw_key})
    assert last_used() == start + timedelta(minutes=10)


# --- account --------------------------------------------------------------------------------------


def test_a_person_sees_and_renames_itself(alice):
    answer = alice.api.get("/v1/auth/me").json()
    assert answer["email"] == "alice@example.com"
    assert (answer["id"], answer["type"]) == (str(alice.principal.id), "user")
    renamed = alice.api.request("PATCH", "/v1/auth/me", {"display_name": "Alice L."})
    assert renamed.json() == answer | {"display_name": "Alice L."}
    assert alice.api.get("/v1/auth/me").json()["display_name"] == "Alice L."
    for bad in ({}, {"display_name": ""}, {"display_name": "a\0b"}, {"email": "x@example.com"}):
        assert alice.api.request("PATCH", "/v1/auth/me", bad).status_code == 400


def test_an_agent_sees_itself_without_an_address(robot):
    answer = robot.api.get("/v1/auth/me").json()
    assert answer["type"] == "agent"
    assert "email" not in answer


def test_a_new_password_ends_older_tokens_and_only_those(alice, bob):
    older, raw = alice.api, Api(alice.raw_key)
    response = change(older)
    assert (response.status_code, list(response.json())) == (200, ["message"])
    assert older.get("/v1/auth/me").status_code == 401
    assert raw.get("/v1/auth/me").status_code == 200
    assert bob.api.get("/v1/auth/me").status_code == 200
    sign_in = {"email": "alice@example.com", "password": NEW}
    fresh = Api().post("/v1/auth/token", sign_in).json()["access_token"]
    assert Api(fresh).get("/v1/auth/me").status_code == 200
    assert Api().post("/v1/auth/token", sign_in | {"password": PASSWORD}).status_code == 401


@pytest.mark.parametrize(
    ("current", "new", "field"),
    [
        ("wrong", NEW, "current_password"),
        (PASSWORD, "s7q!x", "new_password"),
        (PASSWORD, "password123", "new_password"),
        (PASSWORD, "alice@example.com", "new_password"),
        (PASSWORD, None, "new_password"),
    ],
)
def test_a_wrong_or_weak_password_changes_nothing(alice, current, new, field):
    response = change(alice.api, current, new)
    assert (response.status_code, list(response.json()["errors"])) == (400, [field])
    assert alice.api.get("/v1/auth/me").status_code == 200
    if new:
        assert new not in response.content.decode()
    alice.user.refresh_from_db()
    assert alice.user.check_password(PASSWORD)


def test_a_wrong_current_password_leaves_an_event(alice):
    change(alice.api, "wrong")
    event = AuditEvent.objects.get(action="auth.password_change")
    assert (event.outcome, event.details["reason"]) == ("failure", "bad_credentials")


# --- keys that verify -----------------------------------------------------------------------------


def test_the_public_key_verifies_a_token(alice, nobody):
    import jwt

    answer = nobody.get("/v1/auth/jwt-public-key").json()
    assert answer["algorithm"] == "EdDSA"
    assert "PRIVATE" not in answer["public_key"]
    key = load_pem_public_key(answer["public_key"].encode())
    claims = jwt.decode(alice.token, key, algorithms=["EdDSA"])
    assert claims["sub"] == f"user:{alice.principal.id}"
    assert jwt.get_unverified_header(alice.token)["kid"] == answer["kid"]


def test_discovery_leads_to_the_keys(nobody):
    answer = nobody.get("/.well-known/openid-configuration").json()
    assert answer["issuer"] == "vaultsite"
    path = answer["jwks_uri"].removeprefix("http://testserver")
    assert nobody.get(path).json()["keys"]


def test_people_do_not_mix(db):
    first, second = person("first"), person("second")
    assert first.api.get("/v1/auth/me").json()["id"] != second.api.get("/v1/auth/me").json()["id"]

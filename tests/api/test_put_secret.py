import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, OperationalError

from secrets_app.conf import app_settings
from secrets_app.errors import ProviderUnavailable
from secrets_app.models import AuditEvent, Secret, SecretVersion
from tests.cast import Api, allow, body, deny, secret_url, vault_of

VALUES = [
    "",
    " ",
    " leading and trailing \t\n",
    "line\r\nline\rline\n",
    "nul \0 in the middle",
    "emoji 🔑 and é and e\u0301 and \u202e and \ufeff",
    '"quotes" \\ and </script> and \u2028',
    "x" * 100_000,
]


def test_the_answer_is_201_and_has_the_documented_fields_and_no_value(alice, vault):
    response = alice.api.put(secret_url(vault), body("hunter2"))
    assert response.status_code == 201
    answer = response.json()
    assert set(answer) == {"id", "path", "type", "version", "created_at"}
    assert (answer["path"], answer["type"], answer["version"]) == ("api-keys/openai", "password", 1)
    assert answer["created_at"].endswith("Z")
    assert "hunter2" not in response.content.decode()
    assert response["Content-Type"] == "application/json"
    assert response["ETag"] == '"1"'


def test_every_field_is_stored_and_given_back(alice, vault):
    fields = {
        "metadata": {"tags": ["a", "b"], "description": "d", "n": 1.5, "deep": {"x": [None, True]}},
        "expires_at": "2099-01-31T12:00:00+02:00",
        "rotation_policy": {"every": "30d"},
        "max_access_count": 3,
    }
    written = alice.api.put(secret_url(vault), body(**fields)).json()
    assert written["metadata"] == fields["metadata"]
    assert written["expires_at"] == "2099-01-31T10:00:00Z"
    assert set(written) == {
        "id",
        "path",
        "type",
        "version",
        "metadata",
        "created_at",
        "expires_at",
    }
    read = alice.api.get(secret_url(vault)).json()
    assert read["rotation_policy"] == {"every": "30d"}
    assert read["max_access_count"] == 3
    assert read["metadata"] == fields["metadata"]


def test_a_second_write_is_a_new_version_of_the_same_secret_and_again_201(alice, vault):
    first = alice.api.put(secret_url(vault), body("one", metadata={"a": 1}))
    second = alice.api.put(secret_url(vault), body("two"))
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json()["id"] == first.json()["id"]
    assert second.json()["version"] == 2
    assert second["ETag"] == '"2"'
    # Each PUT sets type, metadata, expiry and count anew.
    assert "metadata" not in second.json()
    assert alice.api.get(secret_url(vault)).json()["value"] == "two"


def test_a_write_revives_a_deleted_path_and_goes_on_counting(alice, vault):
    alice.api.put(secret_url(vault), body("one"))
    Secret.objects.update(deleted_at=datetime.now(UTC))
    assert alice.api.get(secret_url(vault)).status_code == 410
    assert alice.api.put(secret_url(vault), body("two")).json()["version"] == 2
    assert alice.api.get(secret_url(vault)).json()["value"] == "two"


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_value_comes_back_byte_for_byte(alice, vault, value):
    assert alice.api.put(secret_url(vault), body(value)).status_code == 201
    assert alice.api.get(secret_url(vault)).json()["value"] == value


def test_an_escaped_value_is_the_same_value(alice, vault):
    raw = '{"type":"note","value":"\\u0041\\ud83d\\udd11\\u0000"}'
    assert alice.api.put(secret_url(vault), raw).status_code == 201
    assert alice.api.get(secret_url(vault)).json()["value"] == "A🔑\0"


@pytest.mark.parametrize(
    "type_",
    ["password", "api_key", "private_key", "certificate", "file", "note", "ssh_key", "env_bundle"],
)
def test_all_eight_types_are_taken(alice, vault, type_):
    assert alice.api.put(secret_url(vault), body() | {"type": type_}).status_code == 201


def test_a_deployment_may_add_types(alice, vault, settings):
    assert alice.api.put(secret_url(vault), body() | {"type": "totp"}).status_code == 400
    settings.SECRETS_APP = settings.SECRETS_APP | {"EXTRA_SECRET_TYPES": ["totp"]}
    assert alice.api.put(secret_url(vault), body() | {"type": "totp"}).status_code == 201


INVALID = [
    ("type", "generic"),
    ("type", ""),
    ("type", None),
    ("type", 1),
    ("type", ["note"]),
    ("value", None),
    ("value", 5),
    ("value", ["x"]),
    ("value", {"x": 1}),
    ("metadata", None),
    ("metadata", []),
    ("metadata", "x"),
    ("metadata", {"nul": "\0"}),
    ("metadata", {"\0": 1}),
    ("metadata", {"big": 2**63}),
    ("metadata", {"big": 10**400}),
    ("metadata", {"large": "x" * 16_384}),
    ("expires_at", None),
    ("expires_at", ""),
    ("expires_at", "tomorrow"),
    ("expires_at", 1764000000),
    ("expires_at", "2030-01-01"),
    ("expires_at", "2030-01-01T00:00:00"),
    ("expires_at", "2030-02-30T00:00:00Z"),
    ("expires_at", "2030-01-01T25:00:00Z"),
    ("expires_at", "9999-12-31T23:59:59-14:00"),
    ("expires_at", "0001-01-01T00:00:00+14:00"),
    ("expires_at", "２０３０-01-01T00:00:00Z"),  # noqa: RUF001
    ("max_access_count", 0),
    ("max_access_count", -1),
    ("max_access_count", 1.5),
    ("max_access_count", "3"),
    ("max_access_count", True),
    ("max_access_count", None),
    ("max_access_count", 2**31),
    ("max_access_count", 10**400),
    ("rotation_policy", "weekly"),
]


@pytest.mark.parametrize(("field", "value"), INVALID)
def test_an_invalid_field_is_400_names_the_field_and_stores_nothing(alice, vault, field, value):
    response = alice.api.put(secret_url(vault), body() | {field: value})
    assert response.status_code == 400
    assert list(response.json()["errors"]) == [field]
    assert not Secret.objects.exists()


@pytest.mark.parametrize(
    ("number", "field"),
    [("NaN", "body"), ("Infinity", "body"), ("-Infinity", "body"), ("1e400", "metadata")],
)
def test_numbers_that_json_does_not_have_are_400(alice, vault, number, field):
    raw = f'{{"type":"note","value":"x","metadata":{{"n":{number}}}}}'
    response = alice.api.put(secret_url(vault), raw)
    assert response.status_code == 400
    assert list(response.json()["errors"]) == [field]


def test_deep_metadata_is_400(alice, vault):
    nested: dict = {}
    for _ in range(40):
        nested = {"a": nested}
    assert alice.api.put(secret_url(vault), body(metadata=nested)).status_code == 400
    raw = '{"type":"note","value":"x","metadata":' + '{"a":' * 100_000 + "1" + "}" * 100_001
    assert alice.api.put(secret_url(vault), raw).status_code == 400


@pytest.mark.parametrize("missing", ["type", "value"])
def test_a_missing_field_is_400_and_named(alice, vault, missing):
    fields = body()
    del fields[missing]
    response = alice.api.put(secret_url(vault), fields)
    assert response.status_code == 400
    assert list(response.json()["errors"]) == [missing]


def test_an_unknown_field_is_400_and_named(alice, vault):
    response = alice.api.put(secret_url(vault), body(expire_at="2030-01-01T00:00:00Z"))
    assert response.status_code == 400
    assert response.json()["errors"] == {"expire_at": ["Unknown field."]}
    assert not Secret.objects.exists()


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"17",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        '{"type":"note","value":"x"}'.encode("utf-16"),
        b'{"type":"note","value":"\\ud800"}',
        b'{"type":"note","value":"x","metadata":{"\\udfff":1}}',
        b'{"type":"note","value":"x","value":"y"}',
        b'{"type":"note","value":"x"} trailing',
        b"{'type':'note','value':'x'}",
        b'{"type":"note","value":"\x01"}',
    ],
)
def test_a_body_that_is_not_a_json_object_is_400(alice, vault, raw):
    response = alice.api.put(secret_url(vault), raw)
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["errors"]
    assert not Secret.objects.exists()


def test_a_400_never_repeats_what_was_sent(alice, vault):
    canary = "canary-in-a-field"
    for fields in [
        body(canary) | {"type": canary},
        body(canary, metadata=canary),
        body(canary, expires_at=canary),
        body(canary, max_access_count=canary),
        {"type": "note", "value": [canary]},
    ]:
        assert canary not in alice.api.put(secret_url(vault), fields).content.decode()
    assert canary not in alice.api.put(secret_url(vault), f'{{"{canary}').content.decode()


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("Application/JSON", 201),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/merge-patch+json", 415),
    ],
)
def test_a_body_must_be_sent_as_json(alice, vault, content_type, status):
    response = alice.api.put(secret_url(vault), body(), content_type=content_type)
    assert response.status_code == status


def test_a_missing_body_is_400(alice, vault):
    assert alice.api.put(secret_url(vault)).status_code == 400


def test_a_value_may_have_as_many_bytes_as_allowed_and_no_more(alice, vault, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"MAX_VALUE_BYTES": 10}
    assert alice.api.put(secret_url(vault), body("é" * 5)).status_code == 201
    response = alice.api.put(secret_url(vault), body("é" * 5 + "x"))
    assert response.status_code == 413
    assert "10 bytes" in response.json()["detail"]
    # The longest value in its longest spelling still fits into a body.
    assert alice.api.put(secret_url(vault), json.dumps(body("\0" * 10))).status_code == 201


def test_the_default_limit_is_one_mebibyte(alice, vault):
    assert app_settings.MAX_VALUE_BYTES == 1024 * 1024
    assert alice.api.put(secret_url(vault), body("x" * 1024 * 1024)).status_code == 201
    assert alice.api.put(secret_url(vault), body("x" * (1024 * 1024 + 1))).status_code == 413


def test_a_huge_body_is_413_before_it_is_parsed(alice, vault, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"MAX_VALUE_BYTES": 10}
    response = alice.api.put(secret_url(vault), b" " * 400_000)
    assert response.status_code == 413
    assert response["Content-Type"] == "application/problem+json"


def test_no_token_a_malformed_and_a_revoked_one_are_401(alice, vault):
    token = alice.token
    assert Api(token).delete("/v1/auth/token").status_code == 204
    for bearer in [None, "", "x", "a.b.c", token, token[:-2], "1ck_unknown", "ocv_unknown"]:
        response = Api(bearer).put(secret_url(vault), body())
        assert response.status_code == 401, bearer
        assert response["WWW-Authenticate"].startswith("Bearer")
        assert response["Content-Type"] == "application/problem+json"
    assert not Secret.objects.exists()


def test_an_expired_token_is_401(alice, vault, time_machine):
    start = datetime(2027, 1, 1, tzinfo=UTC)
    time_machine.move_to(start, tick=False)
    token = alice.token
    time_machine.move_to(start + timedelta(seconds=899, microseconds=999_999), tick=False)
    assert Api(token).put(secret_url(vault), body()).status_code == 201
    time_machine.move_to(start + timedelta(seconds=900), tick=False)
    assert Api(token).put(secret_url(vault), body()).status_code == 401


def test_neither_owner_nor_allowed_is_403(charlie, bob, vault):
    allow(bob, vault, "api-keys/**", "read")
    for caller in (charlie, bob):
        response = caller.api.put(secret_url(vault), body())
        assert response.status_code == 403
        assert response["Content-Type"] == "application/problem+json"
    assert not Secret.objects.exists()


def test_a_policy_that_allows_write_is_enough_below_its_pattern(bob, robot, vault):
    for who in (bob, robot):
        allow(who, vault, "api-keys/*", "write")
        assert who.api.put(secret_url(vault), body()).status_code == 201
        assert who.api.put(secret_url(vault, "other/x"), body()).status_code == 403


def test_a_revoked_policy_is_refused_on_the_next_request(bob, vault):
    policy = allow(bob, vault, "**", "write")
    api = bob.api
    assert api.put(secret_url(vault), body()).status_code == 201
    policy.delete()
    assert api.put(secret_url(vault), body()).status_code == 403


def test_a_deny_beneath_an_allow_wins(bob, vault):
    allow(bob, vault, "**", "write")
    deny(bob, vault, "prod/**", "write")
    assert bob.api.put(secret_url(vault, "dev/x"), body()).status_code == 201
    assert bob.api.put(secret_url(vault, "prod/x"), body()).status_code == 403


def test_an_unknown_or_deleted_vault_is_404(alice, charlie, vault):
    gone = vault_of(alice, "gone")
    gone.deleted_at = datetime.now(UTC)
    gone.save()
    for who in (alice, charlie):
        for vault_id in (uuid4(), gone.id):
            response = who.api.put(f"/v1/vaults/{vault_id}/secrets/a", body())
            assert response.status_code == 404
            assert response["Content-Type"] == "application/problem+json"


def test_the_order_of_judgement(alice, charlie, vault, nobody):
    bad_path, bad_vault, unknown = (
        secret_url(vault, "a..b"),
        "/v1/vaults/not-a-uuid/secrets/a",
        f"/v1/vaults/{uuid4()}/secrets/a",
    )
    assert nobody.put(bad_path, b"{").status_code == 401
    assert nobody.put(bad_vault, b"{").status_code == 401
    assert charlie.api.put(bad_path, b"{").status_code == 400
    assert charlie.api.put(bad_vault, b"{").status_code == 400
    assert charlie.api.put(f"/v1/vaults/{uuid4()}/secrets/a..b", b"{").status_code == 400
    assert charlie.api.put(unknown, b"{").status_code == 404
    assert charlie.api.put(secret_url(vault), b"{", content_type="text/x").status_code == 403
    assert charlie.api.put(secret_url(vault), b"x" * 9_000_000).status_code == 403
    assert alice.api.put(secret_url(vault), b"{", content_type="text/x").status_code == 415


@pytest.mark.parametrize(
    "failure", [ProviderUnavailable(), OperationalError("down: hunter2"), DatabaseError("hunter2")]
)
def test_a_failure_inside_is_500_says_nothing_and_stores_nothing(
    alice, vault, monkeypatch, failure, caplog
):
    def fail(*args, **kwargs):
        raise failure

    monkeypatch.setattr("secrets_app.crypto.keyring.Keyring.seal", fail)
    response = alice.api.put(secret_url(vault), body("hunter2"))
    assert response.status_code == 500
    assert response["Content-Type"] == "application/problem+json"
    assert "hunter2" not in response.content.decode() + caplog.text
    passing = type(failure) is not DatabaseError
    assert response.has_header("Retry-After") is passing
    if passing:
        assert int(response["Retry-After"]) > 0
    assert not Secret.objects.exists()
    assert not SecretVersion.objects.exists()


def test_a_write_without_an_event_is_no_write(alice, vault, unwritable_log):
    api = alice.api
    with unwritable_log():
        assert api.put(secret_url(vault), body()).status_code == 500
    assert not Secret.objects.exists()


def test_the_event_of_a_write_says_who_what_and_where(alice, vault):
    answer = alice.api.put(secret_url(vault), body("hunter2"), REMOTE_ADDR="192.0.2.9")
    event = AuditEvent.objects.get(action="secret.write")
    assert event.outcome == "success"
    assert (event.actor_id, event.actor_type) == (alice.principal.id, "user")
    assert (event.vault_id, str(event.resource_id)) == (vault.id, answer.json()["id"])
    assert event.details == {"path": "api-keys/openai", "version": 1, "type": "password"}
    assert event.ip_address == "192.0.2.9"


def test_a_denied_write_leaves_an_event_with_its_reason(charlie, vault):
    response = charlie.api.put(secret_url(vault), body())
    event = AuditEvent.objects.get(outcome="denied")
    assert (event.action, event.actor_id) == ("secret.write", charlie.principal.id)
    assert event.details["reason"] == "no_policy_matches"
    assert response.json()["instance"] == f"urn:uuid:{event.request_id}"

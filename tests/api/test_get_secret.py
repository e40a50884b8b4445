from datetime import UTC, datetime, timedelta

import pytest

from secrets_app.models import AuditEvent, Secret, SecretVersion
from tests.cast import allow, body, secret_url


def test_the_answer_has_the_value_and_who_wrote_it(alice, vault):
    written = alice.api.put(secret_url(vault), body("hunter2")).json()
    response = alice.api.get(secret_url(vault))
    assert response.status_code == 200
    assert response.json() == written | {
        "value": "hunter2",
        "created_by": f"user:{alice.principal.id}",
    }
    assert response["Cache-Control"] == "no-store"
    assert response["ETag"] == '"1"'


def test_an_agent_is_named_as_such(robot, vault):
    allow(robot, vault, "**", "read", "write")
    robot.api.put(secret_url(vault), body())
    answer = robot.api.get(secret_url(vault)).json()
    assert answer["created_by"] == f"agent:{robot.principal.id}"


def test_an_encoded_slash_is_a_slash_and_decoded_once(alice, vault):
    alice.api.put(secret_url(vault, "a%2Fb"), body("x"))
    assert alice.api.get(secret_url(vault, "a/b")).json()["value"] == "x"
    assert alice.api.get(secret_url(vault, "a%252Fb")).status_code == 400


def test_paths_are_case_sensitive(alice, vault):
    alice.api.put(secret_url(vault, "Key"), body("upper"))
    assert alice.api.get(secret_url(vault, "key")).status_code == 404
    alice.api.put(secret_url(vault, "key"), body("lower"))
    assert alice.api.get(secret_url(vault, "Key")).json()["value"] == "upper"


BAD_PATHS = [
    "",
    "/",
    "a/",
    "/a",
    "a//b",
    ".",
    "..",
    "a/../b",
    "a.b",
    "a%20b",
    "a%0A",
    "a%0D%0A",
    "a%00",
    "%C3%A9",
    "%ff",
    "a%5Cb",
    "a+b",
    "a*",
    "a" * 513,
]


@pytest.mark.parametrize("path", BAD_PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"])
def test_a_bad_path_is_400_on_every_verb(alice, vault, method, path):
    response = alice.api.request(
        method, secret_url(vault, path), body() if method == "PUT" else None
    )
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


def test_the_longest_path_works(alice, vault):
    assert alice.api.put(secret_url(vault, "a" * 512), body()).status_code == 201
    assert alice.api.get(secret_url(vault, "a" * 512)).status_code == 200


def test_an_unknown_path_is_404(alice, vault):
    response = alice.api.get(secret_url(vault))
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"


def test_a_403_is_the_same_whether_the_secret_exists_or_not(alice, charlie, vault):
    alice.api.put(secret_url(vault, "there"), body())
    there, missing = (charlie.api.get(secret_url(vault, path)) for path in ("there", "not-there"))
    assert there.status_code == missing.status_code == 403
    assert there.json() | {"instance": ""} == missing.json() | {"instance": ""}


@pytest.mark.parametrize("permission", ["write", "delete", "rotate"])
def test_other_permissions_do_not_allow_reading(alice, bob, vault, permission):
    alice.api.put(secret_url(vault), body())
    allow(bob, vault, "**", permission)
    assert bob.api.get(secret_url(vault)).status_code == 403
    allow(bob, vault, "**", "read")
    assert bob.api.get(secret_url(vault)).status_code == 200


def test_a_secret_is_gone_from_the_second_it_expires(alice, vault, time_machine):
    start = datetime(2027, 1, 1, tzinfo=UTC)
    time_machine.move_to(start, tick=False)
    alice.api.put(secret_url(vault), body(expires_at="2027-01-01T00:01:00Z"))
    time_machine.move_to(start + timedelta(seconds=59, microseconds=999_999), tick=False)
    assert alice.api.get(secret_url(vault)).status_code == 200
    time_machine.move_to(start + timedelta(seconds=60), tick=False)
    response = alice.api.get(secret_url(vault))
    assert response.status_code == 410
    assert response["Content-Type"] == "application/problem+json"


def test_a_secret_may_have_expired_before_it_was_written(alice, vault):
    fields = body(expires_at="2001-01-01T00:00:00Z")
    assert alice.api.put(secret_url(vault), fields).status_code == 201
    assert alice.api.get(secret_url(vault)).status_code == 410


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (Secret, {"deleted_at": datetime(2026, 1, 1, tzinfo=UTC)}),
        (SecretVersion, {"disabled_at": datetime(2026, 1, 1, tzinfo=UTC)}),
        (SecretVersion, {"destroyed_at": datetime(2026, 1, 1, tzinfo=UTC), "value": None}),
    ],
)
def test_a_deleted_disabled_or_destroyed_secret_is_410(alice, vault, model, fields):
    alice.api.put(secret_url(vault), body())
    model.objects.update(**fields)
    assert alice.api.get(secret_url(vault)).status_code == 410


def test_accesses_are_counted_and_then_the_secret_is_gone(alice, vault):
    alice.api.put(secret_url(vault), body(max_access_count=2))
    statuses = [alice.api.get(secret_url(vault)).status_code for _ in range(4)]
    assert statuses == [200, 200, 410, 410]
    assert SecretVersion.objects.get().access_count == 2


def test_head_says_the_same_but_reveals_nothing_and_spends_nothing(alice, vault):
    alice.api.put(secret_url(vault), body(max_access_count=1))
    for _ in range(3):
        response = alice.api.request("HEAD", secret_url(vault))
        assert response.status_code == 200
        assert response["ETag"] == '"1"'
        assert response.content == b""
    assert SecretVersion.objects.get().access_count == 0
    assert not AuditEvent.objects.filter(action="secret.read").exists()
    alice.api.get(secret_url(vault))
    assert alice.api.request("HEAD", secret_url(vault)).status_code == 410
    assert alice.api.request("HEAD", secret_url(vault, "none")).status_code == 404


def test_query_and_headers_do_not_change_what_is_judged(alice, bob, vault):
    alice.api.put(secret_url(vault, "hidden"), body())
    alice.api.put(secret_url(vault, "open"), body("fine"))
    allow(bob, vault, "open", "read")
    url = secret_url(vault, "open") + "?path=hidden&vault_id=x&_method=PUT"
    headers = {
        "X-HTTP-Method-Override": "PUT",
        "X-Original-URL": secret_url(vault, "hidden"),
        "X-Rewrite-URL": secret_url(vault, "hidden"),
        "Accept": "text/html",
    }
    response = bob.api.get(url, headers=headers)
    assert response.json()["value"] == "fine"
    assert response["Content-Type"] == "application/json"
    assert bob.api.get(secret_url(vault, "hidden") + "?path=open").status_code == 403


def test_a_json_content_type_without_a_body_is_no_error(alice, vault):
    alice.api.put(secret_url(vault), body())
    assert alice.api.get(secret_url(vault), content_type="application/json").status_code == 200


def test_a_read_leaves_an_event_without_the_value(alice, vault):
    alice.api.put(secret_url(vault), body("hunter2"))
    alice.api.get(secret_url(vault))
    event = AuditEvent.objects.get(action="secret.read")
    assert (event.outcome, event.details) == ("success", {"path": "api-keys/openai", "version": 1})


@pytest.mark.parametrize(
    ("fields", "path", "reason"),
    [
        ({"expires_at": "2001-01-01T00:00:00Z"}, "api-keys/openai", "expired"),
        ({}, "not/there", "NotFound"),
    ],
)
def test_a_read_that_fails_leaves_an_event_with_its_reason(alice, vault, fields, path, reason):
    alice.api.put(secret_url(vault), body(**fields))
    alice.api.get(secret_url(vault, path))
    event = AuditEvent.objects.get(action="secret.read")
    assert (event.outcome, event.details) == ("failure", {"path": path, "reason": reason})


def test_a_read_without_an_event_is_no_read_and_spends_nothing(alice, vault, unwritable_log):
    alice.api.put(secret_url(vault), body("hunter2", max_access_count=1))

    api = alice.api
    with unwritable_log():
        response = api.get(secret_url(vault))
    assert response.status_code == 500
    assert "hunter2" not in response.content.decode()
    assert api.get(secret_url(vault)).json()["value"] == "hunter2"

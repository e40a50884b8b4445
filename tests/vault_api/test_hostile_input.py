"""What is not well made: its error format with a sentence, and nothing in a log. See test_fuzzing.py."""

import json

import pytest
from openapi_spec_validator import validate

from secrets_app.models import AuditEvent
from tests.cast import Api, body, secret_url
from tests.spellings import found_in
from tests.vault_api.conftest import Door
from tests.vault_api.test_every_route import ACTIONS, ROUTES, send

CANARY = "canary-" + "41c7-ünï"


@pytest.mark.parametrize(
    "content",
    [
        b"not json",
        b"[]",
        b"5",
        b'"text"',
        b"\xff",
        b'\xef\xbb\xbf{"data": {}}',
        b'{"data": {"a": 1, "a": 2}}',
        b'{"data": {}, "data": {}}',
        b'{"data": {"a": NaN}}',
        b'{"data": {"a": Infinity}}',
        b'{"data": {"a": "\\ud800"}}',
        b'{"data": "text"}',
        b'{"data": null}',
        b'{"data": [1]}',
        b"{}",
        b"",
        b'{"data": ' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"}",
        b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"data": {}, "options": 5}',
    ],
)
def test_a_body_that_makes_no_sense_is_a_400_with_a_sentence(alice, vault, door, content):
    answer = door(alice)("PUT", "team/data/a", content)
    assert answer.status_code == 400
    (told,) = answer.json()["errors"]
    assert len(told) > 10
    assert alice.api.get(secret_url(vault, "a")).status_code == 404


@pytest.mark.parametrize(
    "text",
    [r'{"a":"\ud800"}', r'{"\uDFFF":1}', r'{"a":[{"b":"\udc00\ud800"}]}', r'{"value":"\ud800"}'],
)
def test_a_value_with_a_lone_surrogate_is_text_and_no_data(alice, vault, door, text):
    """Over /v1 any text is a value. As JSON it has characters that no answer can have."""
    mine = door(alice)
    stored = alice.api.put(secret_url(vault, "a"), body(text, type="env_bundle"))
    assert stored.status_code == 201
    assert mine.data("team/a") == {"value": text}
    assert mine("GET", "team/subkeys/a").json()["data"]["subkeys"] == {"value": None}
    assert mine("PATCH", "team/data/a", {"data": {"n": 1}}).status_code == 200
    assert mine.data("team/a") == {"value": text, "n": 1}


def test_a_surrogate_pair_is_a_character_like_any(alice, vault, door):
    alice.api.put(secret_url(vault, "a"), body(r'{"a":"\ud83d\ude00"}'))
    assert door(alice).data("team/a") == {"a": "\U0001f600"}


def test_bodies_of_calls_that_carry_no_data_are_short(alice, vault, door):
    mine, space = door(alice), b" " * 65_536
    for method, path in (
        ("PUT", "sys/capabilities-self"),
        ("PUT", "auth/token/create"),
        ("PUT", "team/delete/a"),
        ("PUT", "team/undelete/a"),
        ("PUT", "team/destroy/a"),
        ("PUT", "auth/approle/login"),
    ):
        assert mine(method, path, b"{}" + space).status_code == 413
    assert mine("PUT", "team/data/a", b'{"data": {}}' + space).status_code == 200
    notes = {f"{n}-" + "\U0001f511" * 120: "\U0001f511" * 512 for n in range(64)}
    assert mine("PUT", "team/metadata/a", {"custom_metadata": notes}).status_code == 204


def test_a_number_of_any_length_is_kept_as_it_is_written(alice, vault, door):
    text = '{"n": ' + "9" * 5000 + "}"
    assert door(alice)("PUT", "team/data/a", f'{{"data": {text}}}'.encode()).status_code == 200
    assert alice.api.get(secret_url(vault, "a")).json()["value"] == text
    assert text in door(alice)("GET", "team/data/a").content.decode()


@pytest.mark.parametrize(
    "versions", [[], [0], [-1], ["x"], [1.5], [None], {}, True, "", "1,x", [1] * 1001, [2**40]]
)
def test_versions_that_are_none_are_refused(alice, vault, door, versions):
    door(alice).put("team/a", {"n": 1})
    for verb in ("delete", "undelete", "destroy"):
        answer = door(alice)("PUT", f"team/{verb}/a", {"versions": versions})
        assert answer.status_code == 400
    assert door(alice).data("team/a") == {"n": 1}


def test_no_sink_holds_what_was_sent(alice, vault, door, caplog, tmp_path):
    caplog.set_level("DEBUG")
    mine, token = door(alice), alice.token
    answers = [
        mine.put("team/a", {CANARY: CANARY}),
        mine("PATCH", "team/data/a", {"data": {"deep": {CANARY: CANARY}}}),
        mine.put("team/a", {"value": CANARY}, cas=9),
        mine.put("team/a", {"value": CANARY}, cas=CANARY),
        mine("PUT", "team/data/a", f'{{"data": {{"{CANARY}": '.encode()),
        mine("PUT", "team/data/a", {"data": CANARY}),
        mine("PUT", "team/metadata/a", {"max_versions": CANARY}),
        mine("PUT", "team/metadata/a", {"custom_metadata": CANARY}),
        mine("PUT", "team/delete/a", {"versions": [CANARY]}),
        mine("PUT", "auth/approle/login", {"role_id": CANARY, "secret_id": CANARY}),
        mine("PUT", "auth/userpass/login/alice@example.com", {"password": CANARY}),
        mine("GET", "team/data/a?version=" + "canary-" + "41c7"),
        Door("canary-" + "41c7")("GET", "team/data/a"),
    ]
    answers += [
        send(mine, template, method) for template, method, _ in ACTIONS if method != "DELETE"
    ]
    logged = "\n".join(record.getMessage() for record in caplog.records).encode()
    sinks = {
        "log": logged,
        "audit": json.dumps(list(AuditEvent.objects.values()), default=repr).encode(),
        "OpenAPI": Api().get("/vault/v1/sys/internal/specs/openapi").content,
        "refusals": b"".join(each.content for each in answers if each.status_code >= 400),
    }
    assert all(sinks.values())
    for name, content in sinks.items():
        for secret in (CANARY, "canary-" + "41c7", token):
            assert found_in(content, secret) == [], name
    assert b"team" not in logged  # nor the paths, which name secrets


def test_the_document_is_openapi_and_names_every_route(db):
    document = Api().get("/vault/v1/sys/internal/specs/openapi").json()
    validate(document)
    assert document["paths"].keys() == {route.template for route in ROUTES}


def test_a_browser_from_elsewhere_gains_nothing(alice, vault):
    """No cookie is looked at, so there is nothing to forge."""
    from django.test import Client

    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice.user)
    answer = browser.post("/vault/v1/team/data/a", b'{"data": {}}', content_type="text/plain")
    assert answer.status_code == 403
    assert answer.json() == {"errors": ["permission denied"]}
    token = {"X-Vault-Token": alice.token}
    answer = browser.post(
        "/vault/v1/team/data/a", b'{"data": {}}', content_type="text/plain", headers=token
    )
    assert answer.status_code == 200


def test_a_deleted_principal_is_refused_on_the_next_request(robot, alice, vault, door):
    from tests.cast import allow

    alice.api.put(secret_url(vault, "a"), body())
    policy = allow(robot, vault, "**", "read")
    assert door(robot).data("team/a") == {"value": "s3cr3t"}
    policy.delete()
    assert door(robot).data(f"{vault.pk}/a") == 403
    assert door(robot).data("team/a") == 403

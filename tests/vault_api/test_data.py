"""Data of secrets through the Vault door, and the same secrets through `/v1`."""

from datetime import UTC, datetime, timedelta

import pytest

from secrets_app.models import AuditEvent
from tests.cast import allow, body, secret_url


def raw(answer):
    return answer.content.decode()


@pytest.mark.parametrize(
    "text",
    [
        '{"b": 1, "a": 2}',
        '{"n": 1.50, "big": 123456789012345678901234567890, "small": 1e-30, "neg": -0}',
        '{"o": {"l": [1, null, true, {"x": "ünï \\u0000 \\ud83d\\ude00"}]}, "": ""}',
        "{}",
        '{ "spaced" :  [ 1 ,2 ] }',
        '{"value": 5}',
        '{"value": "text", "more": 1}',
        '{"data": {"data": {"options": 1}}}',
    ],
)
def test_data_come_back_as_they_were_written(alice, vault, door, text):
    sent = f'{{"options": {{}}, "data": {text}, "x": {{"data": 1}}}}'
    assert door(alice)("PUT", "team/data/a", sent.encode()).status_code == 200
    assert f'"data":{{"data":{text},"metadata"' in raw(door(alice)("GET", "team/data/a"))
    over_v1 = alice.api.get(secret_url(vault, "a")).json()
    assert (over_v1["type"], over_v1["value"]) == ("env_bundle", text)


def test_an_object_written_over_v1_is_data_here_and_other_text_is_the_member_value(
    alice, vault, door
):
    for value, seen in (
        ('{"a": 1}', {"a": 1}),
        ("s3cr3t", {"value": "s3cr3t"}),
        ("[1]", {"value": "[1]"}),
        ('{"a": NaN}', {"value": '{"a": NaN}'}),
        ("{broken", {"value": "{broken"}),
        ("{" * 5000, {"value": "{" * 5000}),
        ("", {"value": ""}),
        ("line\nbreak \0 \U0001f600", {"value": "line\nbreak \0 \U0001f600"}),
    ):
        alice.api.put(secret_url(vault, "a"), body(value))
        assert door(alice).data("team/a") == seen


def test_a_password_written_here_as_value_stays_a_password(alice, vault, door):
    alice.api.put(secret_url(vault, "db"), body("first"))
    door(alice).put("team/db", {"value": "second"})
    over_v1 = alice.api.get(secret_url(vault, "db")).json()
    assert (over_v1["type"], over_v1["value"]) == ("password", "second")
    door(alice)("PATCH", "team/data/db", {"data": {"value": "third"}})
    over_v1 = alice.api.get(secret_url(vault, "db")).json()
    assert (over_v1["type"], over_v1["value"], over_v1["version"]) == ("password", "third", 3)
    door(alice).put("team/db", {"value": "x", "user": "y"})
    assert alice.api.get(secret_url(vault, "db")).json()["type"] == "env_bundle"
    door(alice).put("team/new", {"value": "x"})
    assert alice.api.get(secret_url(vault, "new")).json()["value"] == '{"value": "x"}'


def test_check_and_set(alice, vault, door):
    wrong = "check-and-set parameter did not match the current version"
    mine = door(alice)
    assert mine.put("team/a", {"n": 1}, cas=0).json()["data"]["version"] == 1
    assert mine.put("team/a", {"n": 2}, cas="1").json()["data"]["version"] == 2
    for cas in (0, 1, 7):
        assert mine.put("team/a", {"n": 3}, cas=cas).json() == {"errors": [wrong]}
    for cas in (-1, "x", 1.5, True, [], {}):
        assert mine.put("team/a", {"n": 3}, cas=cas).status_code == 400
    mine("PUT", "team/metadata/a", {"cas_required": True})
    required = "check-and-set parameter required for this call"
    assert mine.put("team/a", {"n": 3}).json() == {"errors": [required]}
    assert mine("PATCH", "team/data/a", {"data": {"m": 1}}).json() == {"errors": [required]}
    assert mine.data("team/a") == {"n": 2}


def test_a_merge_patch_changes_what_it_names_and_nothing_else(alice, vault, door):
    mine = door(alice)
    assert mine("PATCH", "team/data/a", {"data": {"x": 1}}).status_code == 404
    first = '{"data": {"keep": 1.50, "go": 1, "deep": {"keep": [2.0], "go": 2}}}'
    mine("PUT", "team/data/a", first.encode())
    patch = '{"data": {"go": null, "new": 0.10, "deep": {"go": null, "new": {"x": null}}}}'
    assert mine("PATCH", "team/data/a", patch.encode()).json()["data"]["version"] == 2
    merged = '{"keep":1.50,"deep":{"keep":[2.0],"new":{}},"new":0.10}'
    assert alice.api.get(secret_url(vault, "a")).json()["value"] == merged
    as_json = mine("PATCH", "team/data/a", {"data": {}}, content_type="application/json")
    assert as_json.status_code == 415


def test_a_patch_takes_the_right_to_read_as_well_as_the_right_to_write(alice, bob, vault, door):
    """Its answers depend on the value: how large it is, and which members it has."""
    alice.api.put(secret_url(vault, "a"), body('{"pin": "1234"}'))
    allow(bob, vault, "**", "write")
    his = door(bob)
    large = {"data": {"pad": "x" * 65_530}}
    for path, change in (("a", {"data": {"pin": None}}), ("a", large), ("none", large), ("a", {})):
        answer = his("PATCH", f"{vault.pk}/data/{path}", change)
        assert (answer.status_code, answer.json()) == (403, {"errors": ["permission denied"]})
    plain = his("PATCH", f"{vault.pk}/data/a", {"data": {}}, content_type="application/json")
    assert plain.status_code == 403
    assert door(alice).data("team/a") == {"pin": "1234"}
    denied = AuditEvent.objects.filter(outcome="denied")
    assert {(each.action, each.details["permission"]) for each in denied} == {
        ("secret.read", "read")
    }
    assert denied.count() == 5
    assert his("PUT", f"{vault.pk}/data/a", {"data": {"pin": "1"}}).status_code == 200
    allow(bob, vault, "a", "read")
    assert his("PATCH", f"{vault.pk}/data/a", {"data": {"pin": "2"}}).status_code == 200


def test_a_patch_lifts_no_bound_of_the_version_before(alice, vault, door):
    """Otherwise who may write could read a value once more than it was meant to be read."""
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    alice.api.put(
        secret_url(vault, "a"),
        body('{"k": 1}', max_access_count=2, expires_at=soon, metadata={"t": 1}),
    )
    assert door(alice).data("team/a") == {"k": 1}
    assert door(alice)("PATCH", "team/data/a", {"data": {"l": 2}}).status_code == 200
    patched = alice.api.get(secret_url(vault, "a")).json()
    assert (patched["max_access_count"], patched["expires_at"]) == (1, soon)
    assert patched["metadata"] == {"t": 1}
    assert alice.api.get(secret_url(vault, "a")).status_code == 410
    # What was left moved along: the version before has nothing left of its own.
    assert door(alice).data("team/a", "?version=1") == 404
    version_1 = secret_url(vault, "a").replace("/secrets/", "/secret-version/") + "/1"
    assert alice.api.get(version_1).status_code == 410
    assert door(alice)("PATCH", "team/data/a", {"data": {}}).status_code == 404


def test_counts_are_exact_across_both_doors(alice, vault, door):
    alice.api.put(secret_url(vault, "a"), body("x", max_access_count=3))
    assert door(alice).data("team/a") == {"value": "x"}
    assert door(alice)("GET", "team/subkeys/a").json()["data"]["subkeys"] == {"value": None}
    assert alice.api.get(secret_url(vault, "a")).status_code == 200
    assert door(alice).data(f"{vault.pk}/a", "?version=1") == {"value": "x"}
    assert door(alice).data("team/a") == 404
    assert alice.api.get(secret_url(vault, "a")).status_code == 410


def test_a_version_deleted_here_is_disabled_over_v1_and_comes_back(alice, vault, door):
    mine = door(alice)
    for number in (1, 2, 3):
        mine.put("team/a", {"n": number})
    assert mine("DELETE", "team/data/a").status_code == 204
    gone = mine("GET", "team/data/a")
    assert (gone.status_code, gone.json()["data"]["data"]) == (404, None)
    told = gone.json()["data"]["metadata"]
    assert (told["version"], told["destroyed"], told["deletion_time"][-1]) == (3, False, "Z")
    assert alice.api.get(secret_url(vault, "a")).json()["detail"].endswith("disabled.")
    assert mine("POST", "team/undelete/a", {"versions": ["3"]}).status_code == 204
    assert alice.api.get(secret_url(vault, "a")).status_code == 200
    mine("PUT", "team/delete/a", {"versions": "1, 2"})
    assert [mine.data("team/a", f"?version={n}") for n in (1, 2, 3)] == [404, 404, {"n": 3}]
    assert mine("PUT", "team/destroy/a", {"versions": [1]}).status_code == 204
    assert mine("PUT", "team/undelete/a", {"versions": [1, 2, 9]}).status_code == 204
    assert [mine.data("team/a", f"?version={n}") for n in (1, 2)] == [404, {"n": 2}]
    destroyed = mine("GET", "team/data/a?version=1").json()["data"]
    assert (destroyed["data"], destroyed["metadata"]["destroyed"]) == (None, True)


def test_a_secret_deleted_over_v1_shows_since_when_and_comes_back_here(alice, vault, door):
    mine = door(alice)
    mine.put("team/a", {"n": 1})
    mine.put("team/a", {"n": 2})
    alice.api.delete(secret_url(vault, "a"))
    gone = mine("GET", "team/data/a")
    assert gone.status_code == 404
    assert gone.json()["data"]["metadata"]["deletion_time"]
    assert mine("LIST", "team/metadata").json()["data"]["keys"] == ["a"]
    assert mine("PUT", "team/undelete/a", {"versions": [1]}).status_code == 204
    assert mine.data("team/a") == 404
    assert mine("PUT", "team/undelete/a", {"versions": [2]}).status_code == 204
    assert mine.data("team/a") == {"n": 2}
    assert alice.api.get(secret_url(vault, "a")).status_code == 200


def test_an_expired_version_shows_as_deleted_then_and_cannot_come_back(alice, vault, door):
    then = "2020-01-02T03:04:05Z"
    alice.api.put(secret_url(vault, "a"), body("x", expires_at=then))
    told = door(alice)("GET", "team/data/a")
    assert told.status_code == 404
    assert told.json()["data"]["metadata"]["deletion_time"] == then
    assert door(alice)("PUT", "team/undelete/a", {"versions": [1]}).status_code == 400
    assert door(alice)("GET", "team/metadata/a").json()["data"]["versions"]["1"] == {
        "created_time": told.json()["data"]["metadata"]["created_time"],
        "deletion_time": then,
        "destroyed": False,
    }


def test_what_was_never_there_is_a_bare_404_and_its_deletion_no_error(alice, vault, door):
    mine = door(alice)
    for call in ("team/data/no", "team/data/no?version=2", "team/subkeys/no", "team/metadata/no"):
        answer = mine("GET", call)
        assert (answer.status_code, answer.json()) == (404, {"errors": []})
    assert mine("LIST", "team/metadata/no").json() == {"errors": []}
    assert mine("DELETE", "team/data/no").status_code == 204
    assert mine("DELETE", "team/metadata/no").status_code == 204
    for verb in ("delete", "undelete", "destroy"):
        assert mine("PUT", f"team/{verb}/no", {"versions": [1]}).status_code == 204


def test_post_is_put_and_list_is_a_query_too(alice, vault, door):
    mine = door(alice)
    assert mine("POST", "team/data/x/y", {"data": {"a": 1}}).status_code == 200
    mine("POST", "team/data/x/z/w", {"data": {"a": 1}})
    mine("POST", "team/data/x-y", {"data": {"a": 1}})
    mine("POST", "team/data/x", {"data": {"a": 1}})
    queries = [("GET", f"team/metadata/?list={true}") for true in ("true", "True", "1")]
    for call in (("LIST", "team/metadata"), *queries):
        assert mine(*call).json()["data"]["keys"] == ["x", "x-y", "x/"]
    assert mine("LIST", "team/metadata/x/").json()["data"]["keys"] == ["y", "z/"]
    assert mine("LIST", "team/metadata/x").json()["data"]["keys"] == ["y", "z/"]


def test_a_folder_has_one_slash_at_its_end_at_most(alice, vault, door):
    mine = door(alice)
    mine.put("team/a/b", {"n": 1})
    for folder, status in (
        ("", 200),
        ("/", 200),
        ("//", 400),
        ("/a", 200),
        ("/a/", 200),
        ("/a//", 400),
    ):
        assert mine("LIST", f"team/metadata{folder}").status_code == status, folder


def test_a_list_is_of_what_the_caller_may_read_alone(alice, bob, vault, door):
    for path in ("a/x", "a/y", "b/x", "c", "a-b", "a/deep/er", "d/one/two"):
        door(alice).put(f"team/{path}", {"n": 1})
    allow(bob, vault, "a/*", "read")
    allow(bob, vault, "d/**", "read")
    allow(bob, vault, "d/one/*", "read", effect="deny")
    assert door(bob)("LIST", "team/metadata").json()["data"]["keys"] == ["a/"]
    assert door(bob)("LIST", "team/metadata/a").json()["data"]["keys"] == ["x", "y"]
    assert door(bob)("LIST", "team/metadata/d").status_code == 404
    assert door(bob)("LIST", "team/metadata/b").json() == {"errors": []}


def test_a_level_with_thousands_of_secrets_below_is_found_by_steps(alice, vault, door):
    from secrets_app.models import Secret

    paths = [f"{top}/{n:04}" for top in ("a", "b", "c") for n in range(300)]
    paths += [f"flat-{n:04}" for n in range(250)]
    Secret.objects.bulk_create(
        [Secret(vault=vault, path=path, current_version=1) for path in paths]
    )
    keys = door(alice)("LIST", "team/metadata").json()["data"]["keys"]
    assert keys == ["a/", "b/", "c/", *(f"flat-{n:04}" for n in range(250))]
    assert len(door(alice)("LIST", "team/metadata/b").json()["data"]["keys"]) == 300


def test_each_event_says_by_which_door(alice, vault, door):
    before = AuditEvent.objects.count()
    door(alice).put("team/a", {"n": 1})
    door(alice).data("team/a")
    door(alice)("DELETE", "team/data/a")
    door(alice)("GET", "team/data/a")
    found = list(AuditEvent.objects.order_by("id")[before:])
    assert [(e.action, e.outcome) for e in found] == [
        ("secret.write", "success"),
        ("secret.read", "success"),
        ("secret.disable", "success"),
        ("secret.read", "failure"),
    ]
    assert {e.details["door"] for e in found} == {"kv2"}
    alice.api.put(secret_url(vault, "b"), body())
    assert "door" not in AuditEvent.objects.latest("id").details


def test_the_value_bound_holds(alice, vault, door, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"MAX_VALUE_BYTES": 100}
    assert door(alice).put("team/a", {"k": "x" * 50}).status_code == 200
    assert door(alice).put("team/a", {"k": "x" * 200}).status_code == 413
    grown = door(alice)("PATCH", "team/data/a", {"data": {"l": "y" * 60}})
    assert (grown.status_code, grown.json()) == (
        413,
        {"errors": ["The value is larger than 100 bytes."]},
    )
    assert door(alice)("PUT", "team/data/a", b"x" * 400_000).status_code == 413


def test_an_answer_with_a_value_is_kept_nowhere(alice, vault, door):
    door(alice).put("team/a", {"n": 1})
    assert door(alice)("GET", "team/data/a")["Cache-Control"] == "no-store"


def test_subkeys_tell_keys_and_no_value(alice, vault, door):
    door(alice).put("team/a", {"a": {"b": {"c": "s3cr3t"}}, "d": ["s3cr3t"]})
    answer = door(alice)("GET", "team/subkeys/a")
    assert answer.json()["data"]["subkeys"] == {"a": {"b": {"c": None}}, "d": None}
    assert "s3cr3t" not in raw(answer)
    shallow = door(alice)("GET", "team/subkeys/a?depth=2").json()["data"]["subkeys"]
    assert shallow == {"a": {"b": None}, "d": None}


def test_who_may_write_and_not_read_is_told_nothing_that_it_did_not_say(alice, bob, vault, door):
    """Notes and expiry are settings that others made; an answer to a write must not reveal them."""
    url = secret_url(vault, "a")
    alice.api.put(url, body("s3cr3t", expires_at="2031-01-01T00:00:00Z"))
    door(alice)("PUT", "team/metadata/a", {"custom_metadata": {"owner": "data"}})
    policy = allow(bob, vault, "**", "write")

    def told(answer):
        assert answer.status_code == 200
        seen = answer.json()["data"]
        return seen["custom_metadata"], seen["deletion_time"][:4]

    place, changes = f"{vault.pk}/data/a", {"data": {"n": 1}}
    door(alice)("PUT", "team/metadata/a", {"delete_version_after": "1h"})
    assert told(door(bob)("PUT", place, changes)) == (None, "")
    policy.permissions = ["read", "write"]
    policy.save()
    notes, until = told(door(bob)("PUT", place, changes))
    assert (notes, len(until)) == ({"owner": "data"}, 4)
    assert told(door(bob)("PATCH", place, changes)) == (notes, until)

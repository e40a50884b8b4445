"""What is set for a secret as a whole, and versions that are enabled again."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from secrets_app.models import AuditEvent, SecretVersion
from secrets_app.readable import is_readable
from tests.cast import Api, allow, body, deny, secret_url
from tests.vault_api.conftest import Door

NOTES = {"team": "data", "runbook": "wiki/42"}


def settings_url(vault, path="api-keys/openai"):
    return secret_url(vault, path).replace("/secrets/", "/secret-settings/")


def enable_url(vault, number, path="api-keys/openai"):
    return secret_url(vault, path).replace("/secrets/", "/secret-version-enable/") + f"/{number}"


def put_settings(who, vault, **fields):
    return who.api.put(settings_url(vault), fields)


def write(who, vault, value="x", **extra):
    return who.api.put(secret_url(vault), body(value), **extra)


def test_what_is_set_is_told_and_what_is_left_out_is_unset(alice, vault):
    write(alice, vault)
    plain = {"max_versions": 0, "cas_required": False, "delete_version_after": "0s"}
    assert alice.api.get(settings_url(vault)).json() == plain
    wanted = {"max_versions": 3, "cas_required": True, "delete_version_after": "1h30m"}
    answer = put_settings(alice, vault, **wanted, custom_metadata=NOTES)
    told = wanted | {"delete_version_after": "1h30m0s", "custom_metadata": NOTES}
    assert (answer.status_code, answer.json()) == (200, told)
    assert alice.api.get(settings_url(vault)).json() == told
    assert put_settings(alice, vault).json() == plain


def test_settings_may_come_before_the_first_version_and_are_no_secret(alice, vault):
    assert alice.api.get(settings_url(vault)).status_code == 404
    assert put_settings(alice, vault, cas_required=True).status_code == 200
    assert alice.api.get(secret_url(vault)).status_code == 404
    assert alice.api.delete(secret_url(vault)).status_code == 404
    assert alice.api.get(f"/v1/vaults/{vault.pk}/secrets").json() == {"secrets": []}
    first = write(alice, vault, headers={"If-None-Match": "*"})
    assert (first.status_code, first.json()["version"]) == (201, 1)


def test_a_secret_that_demands_it_takes_no_write_without_a_precondition(alice, vault):
    write(alice, vault)
    put_settings(alice, vault, cas_required=True)
    refused = write(alice, vault, "y")
    assert refused.status_code == 428
    assert refused.json()["title"] == "Precondition Required"
    batch = [{"path": "api-keys/openai"} | body("z")]
    url = f"/v1/vaults/{vault.pk}/secrets:batchWrite"
    assert alice.api.post(url, {"secrets": batch}).status_code == 428
    assert alice.api.post(url, {"secrets": [batch[0] | {"if_version": 1}]}).status_code == 201
    assert write(alice, vault, "y", headers={"If-Match": '"1"'}).status_code == 412
    assert write(alice, vault, "y", headers={"If-Match": '"2"'}).json()["version"] == 3


def test_a_precondition_that_any_version_meets_is_none(alice, vault):
    """`cas_required` is there so that no writer overwrites what it has not seen (RFC 6585, 3)."""
    put_settings(alice, vault, cas_required=True)
    assert write(alice, vault, headers={"If-Match": "*"}).status_code == 428
    assert write(alice, vault, headers={"If-None-Match": "*"}).status_code == 201
    assert write(alice, vault, "y", headers={"If-Match": "*"}).status_code == 428
    assert alice.api.get(secret_url(vault)).json()["version"] == 1
    put_settings(alice, vault, cas_required=False)
    assert write(alice, vault, "y", headers={"If-Match": "*"}).status_code == 201


@pytest.mark.parametrize(("deployment", "own", "kept"), [(0, 2, 2), (3, 2, 2), (2, 3, 2)])
def test_no_more_versions_are_kept_than_either_bound_allows(
    alice, vault, settings, deployment, own, kept
):
    settings.SECRETS_APP = settings.SECRETS_APP | {"MAX_VERSIONS": deployment}
    put_settings(alice, vault, max_versions=own)
    for number in range(5):
        write(alice, vault, f"value {number}")
    left = SecretVersion.objects.filter(destroyed_at__isnull=True).values_list("number", flat=True)
    assert sorted(left) == list(range(6 - kept, 6))


def test_a_smaller_bound_destroys_at_once_what_is_beyond_it(alice, vault):
    """Metadata do not show these versions any more; they must not be there to be read either."""
    for number in range(1, 6):
        write(alice, vault, f"value {number}")
    put_settings(alice, vault, max_versions=4)
    version = secret_url(vault).replace("/secrets/", "/secret-version/")
    assert [alice.api.get(f"{version}/{n}").status_code for n in (1, 2)] == [410, 200]
    smaller = {"max_versions": 2}
    door = Door(alice.token)
    assert door("PUT", "team/metadata/api-keys/openai", smaller).status_code == 204
    assert door.data("team/api-keys/openai", "?version=3") == 404
    statuses = [alice.api.get(f"{version}/{n}").status_code for n in range(1, 6)]
    assert statuses == [410, 410, 410, 200, 200]
    left = SecretVersion.objects.filter(value__isnull=False).values_list("number", flat=True)
    assert sorted(left) == [4, 5]
    put_settings(alice, vault)
    events = AuditEvent.objects.filter(action="secret.configure").order_by("id")
    assert [each.details.get("destroyed") for each in events] == [1, 2, None]


def test_a_note_destroys_nothing(alice, bob, vault, settings):
    """Who may write sets notes. A bound of the deployment that was lowered waits for the next version."""
    allow(bob, vault, "**", "write")
    for _ in range(3):
        write(alice, vault)
    settings.SECRETS_APP = settings.SECRETS_APP | {"MAX_VERSIONS": 1}
    assert put_settings(bob, vault, custom_metadata=NOTES).status_code == 200
    assert not SecretVersion.objects.filter(destroyed_at__isnull=False).exists()


def test_of_a_batch_each_secret_keeps_to_its_own_bound(alice, vault):
    for path, bound in (("one", 1), ("two", 2), ("all", 0)):
        alice.api.put(settings_url(vault, path), {"max_versions": bound})
    for _ in range(3):
        items = [{"path": path} | body() for path in ("one", "two", "all")]
        alice.api.post(f"/v1/vaults/{vault.pk}/secrets:batchWrite", {"secrets": items})
    living = SecretVersion.objects.filter(destroyed_at__isnull=True)
    assert {p: living.filter(secret__path=p).count() for p in ("one", "two", "all")} == {
        "one": 1,
        "two": 2,
        "all": 3,
    }


def test_a_version_lives_as_long_as_is_set_and_no_longer_than_its_writer_says(alice, vault):
    put_settings(alice, vault, delete_version_after="1h")
    now = datetime.now(UTC)
    ends = datetime.fromisoformat(write(alice, vault).json()["expires_at"])
    assert timedelta(minutes=59) < ends - now < timedelta(minutes=61)
    soon, late = ((now + timedelta(minutes=m)).isoformat().replace("+00:00", "Z") for m in (5, 600))
    assert alice.api.put(secret_url(vault), body(expires_at=soon)).json()["expires_at"] == soon
    assert alice.api.put(secret_url(vault), body(expires_at=late)).json()["expires_at"] < late


def test_only_the_owner_says_how_many_versions_are_kept(alice, bob, vault):
    """A smaller number destroys versions for good, which no policy allows."""
    allow(bob, vault, "**", "read", "write", "delete", "rotate")
    assert put_settings(bob, vault, custom_metadata=NOTES).status_code == 200
    assert put_settings(bob, vault, max_versions=1).status_code == 403
    assert AuditEvent.objects.filter(action="secret.configure", outcome="denied").count() == 1
    put_settings(alice, vault, max_versions=2)
    assert put_settings(bob, vault, max_versions=2, cas_required=True).status_code == 200
    assert put_settings(bob, vault).status_code == 403  # it would unset it


def test_to_read_and_to_change_settings_takes_what_it_takes_for_the_secret(alice, bob, vault):
    write(alice, vault)
    allow(bob, vault, "**", "read")
    assert bob.api.get(settings_url(vault)).status_code == 200
    assert put_settings(bob, vault, cas_required=True).status_code == 403
    deny(bob, vault, "api-keys/**", "read")
    assert bob.api.get(settings_url(vault)).status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_versions": -1},
        {"max_versions": 1.5},
        {"max_versions": True},
        {"max_versions": 10**9},
        {"cas_required": "yes"},
        {"delete_version_after": 60},
        {"delete_version_after": "soon"},
        {"delete_version_after": "-1h"},
        {"delete_version_after": "99999d"},
        {"custom_metadata": {"a": 1}},
        {"custom_metadata": {"a": "x" * 513}},
        {"custom_metadata": {"a": "nul\0"}},
        *({"custom_metadata": {"a": f"x{mark}y"}} for mark in "\n\x7f\x85\u202e\u2066\u200b\u3164"),
        *({"custom_metadata": {f"x{mark}y": "a"}} for mark in "\x9b\u202e\ufeff\U000e0041"),
        {"custom_metadata": {"": "x"}},
        {"custom_metadata": {str(n): "x" for n in range(65)}},
        {"custom_metadata": ["a"]},
        {"max_version": 3},
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(alice, vault, wrong):
    answer = put_settings(alice, vault, **wrong)
    assert answer.status_code == 400
    assert {name.partition(".")[0] for name in answer.json()["errors"]} == wrong.keys()
    assert alice.api.get(settings_url(vault)).status_code == 404


def test_the_document_says_which_characters_notes_have():
    schemas = Api().get("/v1/openapi.json").json()["components"]["schemas"]
    notes = schemas["SecretSettings"]["properties"]["custom_metadata"]
    pattern = re.compile(notes["additionalProperties"]["pattern"])
    assert notes["propertyNames"]["pattern"] == pattern.pattern
    for n in (*range(0xD800), *range(0xE000, 0x10000)):
        fits = pattern.fullmatch(chr(n)) is not None
        assert fits == is_readable(chr(n), allow_newlines=False), hex(n)
    assert pattern.fullmatch("")
    assert pattern.fullmatch("ünï \U0001f511")
    door = Api().get("/vault/v1/sys/internal/specs/openapi").json()["paths"]
    body = door["/{mount}/metadata/{path}"]["put"]["requestBody"]["content"]["application/json"]
    told = body["schema"]["properties"]["custom_metadata"]["additionalProperties"]
    assert told["pattern"] == pattern.pattern


def test_purging_a_secret_takes_its_settings_along(alice, vault):
    write(alice, vault)
    put_settings(alice, vault, custom_metadata=NOTES)
    assert alice.api.delete(secret_url(vault) + "?purge=true").status_code == 204
    assert alice.api.get(settings_url(vault)).status_code == 404


def test_a_disabled_version_is_enabled_again(alice, vault):
    write(alice, vault, "kept")
    alice.api.post(enable_url(vault, 1).replace("enable", "disable"))
    assert alice.api.get(secret_url(vault)).status_code == 410
    assert alice.api.post(enable_url(vault, 1)).status_code == 204
    assert alice.api.get(secret_url(vault)).json()["value"] == "kept"
    event = AuditEvent.objects.filter(action="secret.enable").get()
    assert event.details == {"path": "api-keys/openai", "version": 1}


def test_what_is_not_there_has_expired_or_was_destroyed_is_not_enabled(alice, vault, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"MAX_VERSIONS": 2}
    assert alice.api.post(enable_url(vault, 1)).status_code == 404
    write(alice, vault)
    assert alice.api.post(enable_url(vault, 2)).status_code == 404
    write(alice, vault)
    alice.api.put(secret_url(vault), body(expires_at="2001-01-01T00:00:00Z"))
    assert alice.api.post(enable_url(vault, 1)).status_code == 410
    assert alice.api.post(enable_url(vault, 3)).status_code == 409
    alice.api.delete(secret_url(vault))
    assert alice.api.post(enable_url(vault, 2)).status_code == 404


def test_to_enable_takes_the_right_to_write(alice, bob, vault):
    write(alice, vault)
    allow(bob, vault, "**", "read", "delete", "rotate")
    assert bob.api.post(enable_url(vault, 1)).status_code == 403

"""Metadata and settings of secrets through the Vault door."""

import pytest

from secrets_app.models import SecretVersion
from tests.cast import allow, secret_url


def test_metadata_tell_settings_and_versions(alice, vault, door):
    mine = door(alice)
    mine.put("team/a", {"n": 1})
    mine.put("team/a", {"n": 2})
    mine("DELETE", "team/data/a")
    wanted = {"max_versions": 5, "custom_metadata": {"team": "data", "port": 5432}}
    wanted |= {"delete_version_after": "1h30m", "cas_required": True}
    assert mine("POST", "team/metadata/a", wanted).status_code == 204
    told = mine("GET", "team/metadata/a").json()["data"]
    versions = told.pop("versions")
    assert told.pop("created_time") <= told.pop("updated_time")
    assert told == {
        "cas_required": True,
        "current_metadata_version": 0,
        "current_version": 2,
        "custom_metadata": {"team": "data", "port": "5432"},
        "delete_version_after": "1h30m0s",
        "max_versions": 5,
        "metadata_cas_required": False,
        "oldest_version": 0,
    }
    assert [(n, bool(v["deletion_time"]), v["destroyed"]) for n, v in versions.items()] == [
        ("1", False, False),
        ("2", True, False),
    ]
    assert mine.data("team/a", "?version=1") == {"n": 1}
    settings = secret_url(vault, "a").replace("/secrets/", "/secret-settings/")
    assert alice.api.get(settings).json()["custom_metadata"] == {"team": "data", "port": "5432"}


def test_a_put_leaves_what_it_does_not_name_and_a_patch_merges_notes(alice, vault, door):
    mine = door(alice)
    assert mine("PATCH", "team/metadata/a", {"custom_metadata": {"x": "1"}}).status_code == 404
    mine("PUT", "team/metadata/a", {"max_versions": 5, "custom_metadata": {"a": "1", "b": "2"}})
    mine("PATCH", "team/metadata/a", {"custom_metadata": {"a": None, "c": "3"}})
    told = mine("GET", "team/metadata/a").json()["data"]
    assert (told["max_versions"], told["custom_metadata"]) == (5, {"b": "2", "c": "3"})
    mine("PUT", "team/metadata/a", {"custom_metadata": {"z": "9"}})
    told = mine("GET", "team/metadata/a").json()["data"]
    assert (told["max_versions"], told["custom_metadata"]) == (5, {"z": "9"})
    assert mine("GET", "team/data/a").json() == {"errors": []}
    mine.put("team/a", {"n": 1})
    assert mine("GET", "team/data/a").json()["data"]["metadata"]["custom_metadata"] == {"z": "9"}


def test_versions_beyond_the_bound_are_gone(alice, vault, door):
    mine = door(alice)
    mine("PUT", "team/metadata/a", {"max_versions": 2})
    for number in range(4):
        mine.put("team/a", {"n": number})
    told = mine("GET", "team/metadata/a").json()["data"]
    assert (told["oldest_version"], list(told["versions"])) == (3, ["3", "4"])
    gone = mine("GET", "team/data/a?version=1")
    assert (gone.status_code, gone.json()) == (404, {"errors": []})
    assert SecretVersion.objects.filter(destroyed_at__isnull=False).count() == 2


def test_deleting_metadata_destroys_everything_and_is_the_owners(alice, bob, vault, door):
    allow(bob, vault, "**", "read", "write", "delete", "rotate")
    door(alice).put("team/a", {"n": 1})
    for call in (
        ("DELETE", f"{vault.pk}/metadata/a", None),
        ("PUT", f"{vault.pk}/destroy/a", {"versions": [1]}),
        ("PUT", f"{vault.pk}/metadata/a", {"max_versions": 1}),
    ):
        assert door(bob)(*call).json() == {"errors": ["permission denied"]}
    assert door(bob).data("team/a") == {"n": 1}
    assert door(alice)("DELETE", "team/metadata/a").status_code == 204
    assert not SecretVersion.objects.exists()


def test_what_holds_for_a_mount_is_the_deployments(alice, vault, door, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"MAX_VERSIONS": 7}
    told = door(alice)("GET", "team/config").json()["data"]
    assert (told["max_versions"], told["cas_required"]) == (7, False)
    refused = door(alice)("POST", "team/config", {"max_versions": 9})
    assert refused.status_code == 400
    assert "deployment" in refused.json()["errors"][0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_versions": "x"},
        {"max_versions": -1},
        {"cas_required": "maybe"},
        {"delete_version_after": "zz"},
        {"delete_version_after": True},
        {"custom_metadata": "x"},
        {"custom_metadata": {"a": {"b": "c"}}},
        {"custom_metadata": {str(n): "x" for n in range(65)}},
        *(
            {"custom_metadata": {"a": f"x{mark}y"}}
            for mark in "\0\n\x7f\x85\u202e\u2066\u200b\u3164"
        ),
        *({"custom_metadata": {f"x{mark}y": "a"}} for mark in "\x9b\u202e\ufeff\U000e0041"),
    ],
)
def test_settings_that_make_no_sense_are_a_400_with_a_sentence(alice, vault, door, wrong):
    answer = door(alice)("PUT", "team/metadata/a", wrong)
    assert answer.status_code == 400
    assert answer.json()["errors"][0].endswith(".")
    assert door(alice)("GET", "team/metadata/a").status_code == 404

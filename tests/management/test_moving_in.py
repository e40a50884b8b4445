"""`import_secrets --from hcvault`: all that a real OpenBao server still has of its secrets."""

import json
from datetime import datetime

import pytest
from django.core.management import CommandError

from secrets_app.models import AuditEvent, Secret, SecretVersion
from tests.cast import allow, secret_url
from tests.every_action import run
from tests.vault_api.conftest import Door

MOUNT = "moving"


@pytest.fixture
def there(openbao, tmp_path, monkeypatch):
    """A mount with entries of every kind; the arguments that name it."""
    admin = openbao.admin
    admin.sys.enable_secrets_engine("kv", path=MOUNT, options={"version": "2"})
    kv = admin.secrets.kv.v2
    at = {"mount_point": MOUNT}
    for number in range(1, 6):
        secret = {"n": number, "price": 1.5, "deep": {"l": [None, True, "ü"]}}
        kv.create_or_update_secret(path="app/db", secret=secret, **at)
    kv.delete_secret_versions(path="app/db", versions=[2], **at)
    kv.destroy_secret_versions(path="app/db", versions=[3], **at)
    kv.update_metadata(
        path="app/db", max_versions=9, cas_required=False, custom_metadata={"team": "data"}, **at
    )
    kv.create_or_update_secret(path="app/gone", secret={"x": "s3cr3t"}, **at)
    kv.delete_latest_version_of_secret(path="app/gone", **at)
    kv.update_metadata(path="app/short", delete_version_after="1h", **at)
    kv.create_or_update_secret(path="app/short", secret={"x": "y"}, **at)
    kv.update_metadata(path="app/empty", custom_metadata={"only": "notes"}, **at)
    monkeypatch.setenv("VAULT_TOKEN", admin.token)
    told = kv.read_secret_metadata(path="app/db", **at)["data"]
    server = (admin.url, "--from", "hcvault", "--ca", admin.session.verify)
    yield (*server, "--mount", MOUNT, "--under", "app", "--vault", "team"), told, kv
    admin.sys.disable_secrets_engine(MOUNT)


def refused(*arguments):
    with pytest.raises(CommandError) as caught:
        run("import_secrets", *arguments)
    return caught.value.returncode, str(caught.value)


def test_versions_come_with_their_numbers_times_marks_and_settings(alice, vault, there):
    arguments, told, _ = there
    said = json.loads(run("import_secrets", *arguments, "--json"))
    assert said == {
        "secrets": 4,
        "versions": 7,
        "deleted": 3,
        "destroyed": 1,
        "stored": 4,
        "conflicts": [],
        "invalid": [],
    }
    mine = Door(alice.token)
    assert mine.data("team/app/db") == {"n": 5, "price": 1.5, "deep": {"l": [None, True, "ü"]}}
    assert [mine.data("team/app/db", f"?version={n}") for n in (2, 3)] == [404, 404]
    assert mine.data("team/app/db", "?version=1")["n"] == 1
    here = mine("GET", "team/metadata/app/db").json()["data"]
    assert (here["max_versions"], here["custom_metadata"]) == (9, {"team": "data"})
    assert here["current_version"] == 5
    for number, each in told["versions"].items():
        mark = here["versions"][number]
        assert same_time(mark["created_time"], each["created_time"])
        assert bool(mark["deletion_time"]) is bool(each["deletion_time"])
    # What was deleted there cannot be read there: it came as a mark, without its data.
    assert [v["destroyed"] for v in here["versions"].values()] == [False, True, True, False, False]
    assert mine.data("team/app/gone") == 404
    short = mine("GET", "team/metadata/app/short").json()["data"]
    assert short["delete_version_after"] == "1h0m0s"
    assert short["versions"]["1"]["deletion_time"]
    assert mine.data("team/app/short") == {"x": "y"}
    assert mine("GET", "team/metadata/app/empty").json()["data"]["custom_metadata"] == {
        "only": "notes"
    }
    over_v1 = alice.api.get(secret_url(vault, "app/db")).json()
    assert (over_v1["version"], over_v1["type"]) == (5, "env_bundle")
    events = AuditEvent.objects.filter(action="secret.write", actor_type="operator")
    assert events.count() == 7
    assert "all is well" in run("verify_vault")


def same_time(ours, theirs):
    """To the microsecond, which is what is stored."""
    return datetime.fromisoformat(ours).isoformat()[:26] == f"{theirs[:26]}"


def test_a_dry_run_tells_and_changes_nothing(alice, vault, there):
    arguments, _, _ = there
    said = run("import_secrets", *arguments, "--dry-run")
    assert "4 secrets with 7 versions" in said
    assert "0 secrets imported" in said
    assert not Secret.objects.exists()


def test_what_is_there_already_stops_it_or_is_skipped(alice, vault, there):
    arguments, _, _ = there
    alice.api.put(secret_url(vault, "app/db"), {"type": "note", "value": "mine"})
    status, _ = refused(*arguments)
    assert (status, Secret.objects.count()) == (1, 1)
    said = json.loads(run("import_secrets", *arguments, "--on-conflict", "skip", "--json"))
    assert said["stored"] == 3
    assert alice.api.get(secret_url(vault, "app/db")).json()["value"] == "mine"
    again = json.loads(run("import_secrets", *arguments, "--on-conflict", "skip", "--json"))
    assert again["stored"] == 0
    status, said = refused(*arguments, "--on-conflict", "new-version")
    assert (status, "--newest-only" in said) == (1, True)


def test_what_cannot_come_is_named_and_stops_it(alice, vault, there):
    arguments, _, kv = there
    kv.create_or_update_secret(path="app/with.dot", secret={"x": "s3cr3t"}, mount_point=MOUNT)
    status, said = refused(*arguments)
    assert (status, "s3cr3t" in said, Secret.objects.count()) == (1, False, 0)
    said = run("import_secrets", *arguments, "--skip-invalid", "--prefix", "old")
    assert "invalid    app/with.dot" in said
    assert Secret.objects.filter(path="old/app/db").exists()


def test_it_is_judged_as_the_person_it_is_for(alice, bob, vault, there):
    arguments, _, _ = there
    allow(bob, vault, "app/short", "write")
    status, said = refused(*arguments, "--as", "bob@example.com")
    assert (status, "may not write at 3 of the 4 paths" in said) == (1, True)
    assert SecretVersion.objects.count() == 0

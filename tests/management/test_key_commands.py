import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from secrets_app.fields import Sealed
from secrets_app.keys import create_root_key, keyring
from secrets_app.models import AuditEvent, SecretVersion, VaultKey
from secrets_app.services.sealing.audit_keys import forget_audit_key
from tests.cast import body, secret_url, vault_of


def run(*arguments):
    out = StringIO()
    call_command(*map(str, arguments), stdout=out)
    return out.getvalue()


def run_json(*arguments):
    return json.loads(run(*arguments, "--json"))


@pytest.fixture
def filled(alice, vault):
    for n in range(3):
        alice.api.put(secret_url(vault, f"app/{n}"), body(f"value {n}"))
    return vault


def test_rotating_one_vault(filled, capsys):
    assert run_json("rotate_kek", filled.pk, "--dry-run") == {"new_keys": 1, "to_move": 3}
    assert VaultKey.objects.count() == 1
    assert run_json("rotate_kek", filled.name) == {
        "vaults": 1,
        "new_keys": 1,
        "moved": 3,
        "destroyed": 0,
        "failed": [],
    }
    assert capsys.readouterr().err == ""
    said = run("rotate_kek", filled.name)
    assert "moved: 3" in said
    # No terminal here: plain lines instead of a bar.
    assert "values: 3 of 3" in capsys.readouterr().err


def test_rotating_what_is_old(alice, filled):
    vault_of(alice, "other")
    assert run_json("rotate_kek", "--older-than", 30)["vaults"] == 0
    VaultKey.objects.filter(vault=filled).update(created_at=timezone.now() - timedelta(days=31))
    assert run_json("rotate_kek", "--older-than", 30, "--dry-run") == {"new_keys": 1, "to_move": 3}
    assert run_json("rotate_kek", "--older-than", 30)["moved"] == 3
    assert run_json("rotate_kek", "--older-than", 0)["new_keys"] == 2
    VaultKey.objects.update(retired_at=timezone.now() - timedelta(days=2))
    assert run_json("rotate_kek", "--older-than", 30, "--destroy-retired")["destroyed"] == 3


def test_one_vault_or_an_age_has_to_be_given(db):
    with pytest.raises(CommandError, match="required"):
        run("rotate_kek")
    with pytest.raises(CommandError, match="no such vault"):
        run("rotate_kek", "nothing")
    with pytest.raises(CommandError, match="36500"):
        run("rotate_kek", "--older-than", "-1")


def test_a_finished_rotation_is_said_to_be_one(filled, capsys):
    run("rotate_kek", filled.pk)
    SecretVersion.objects.update(
        vault_key=VaultKey.objects.get(version=1), value=Sealed(b"\1" + bytes(80))
    )
    with pytest.raises(CommandError, match="3 values or keys do not open") as caught:
        run("rotate_kek", filled.pk)
    assert caught.value.returncode == 1


def test_moving_to_another_root_key(alice, filled, settings, tmp_path):
    old = keyring().active_root_key_id
    new = run_json("create_root_key", f"file:{tmp_path}/new.key")["id"]
    urls = [f"file:{tmp_path}/new.key", *settings.SECRETS_APP["ROOT_KEY_URLS"]]
    settings.SECRETS_APP = settings.SECRETS_APP | {"ROOT_KEY_URLS": urls}
    assert run_json("rotate_root", "--dry-run") == {"to_rewrap": {old: 2}}
    inventory = run_json("keys")
    assert [
        (key["id"], key["role"], key["keks"], key["audit_keys"]) for key in inventory["root_keys"]
    ] == [
        (new, "active", 0, 0),
        (old, "unwraps", 1, 1),
    ]
    assert inventory["keys_under_old_root_keys"] == 2
    assert run_json("rotate_root") == {"active_root_key": new, "rewrapped": 2, "failed": []}
    assert run_json("keys")["keys_under_old_root_keys"] == 0
    assert run_json("verify_vault") == {"checked": 11, "findings": []}
    assert alice.api.get(secret_url(filled, "app/1")).json()["value"] == "value 1"
    assert "rewrapped: 2" in run("rotate_root", "--all")


def test_without_the_old_root_key_commands_say_so(filled, settings, tmp_path, capsys):
    create_root_key(f"file:{tmp_path}/new.key")
    settings.SECRETS_APP = settings.SECRETS_APP | {"ROOT_KEY_URLS": [f"file:{tmp_path}/new.key"]}
    forget_audit_key()  # as in a process of its own
    with pytest.raises(CommandError, match="No configured root key") as caught:
        run("rotate_root")
    assert caught.value.returncode == 2
    (key,) = [key for key in run_json("keys")["root_keys"] if key["role"] == "missing"]
    assert key["keks"] == 1
    assert "not configured" in run("keys")
    # The key of the log's MACs is under that root key too.
    assert "No event was left" in capsys.readouterr().err
    out = StringIO()
    with pytest.raises(CommandError, match="4 findings") as caught:
        call_command("verify_vault", "--json", stdout=out, stderr=StringIO())
    assert caught.value.returncode == 1
    assert [found["kind"] for found in json.loads(out.getvalue())["findings"]] == [
        "vault_key",
        *3 * ["secret_version"],
    ]


def test_the_table_of_keys(alice, filled):
    other = vault_of(alice, "[red]other[/red]")
    run("rotate_kek", filled.pk)
    VaultKey.objects.filter(vault=other).update(created_at=timezone.now() - timedelta(days=100))
    table = run("keys")
    assert "[red]other[/red]" in table
    assert keyring().active_root_key_id in table
    rows = {(key["vault_name"], key["version"]): key for key in run_json("keys")["vault_keys"]}
    assert rows["team", 1]["state"] == "retired"
    assert (rows["team", 1]["values"], rows["team", 2]["values"]) == (0, 3)
    assert rows["[red]other[/red]", 1]["age_days"] == 100
    assert {key["vault_name"] for key in run_json("keys", filled.pk)["vault_keys"]} == {"team"}


def test_verifying(filled):
    assert "11 rows checked, all is well" in run("verify_vault")
    assert "11 rows checked" in run("verify_vault", filled.pk)
    bad = SecretVersion.objects.first()
    SecretVersion.objects.filter(pk=bad.pk).update(value=Sealed(b"\1" + bytes(80)))
    out = StringIO()
    with pytest.raises(CommandError, match=r"1 findings") as caught:
        call_command("verify_vault", stdout=out)
    assert caught.value.returncode == 1
    assert f"secret_version {bad.pk} (vault {filled.pk}) is not an envelope" in out.getvalue()


def test_rotating_the_signing_key(alice, settings, tmp_path):
    from secrets_app.crypto.signing import generate_signing_key_pem

    file = tmp_path / "jwt.pem"
    file.write_bytes(generate_signing_key_pem())
    file.chmod(0o600)
    settings.SECRETS_APP = settings.SECRETS_APP | {"JWT_KEY_FILE": str(file)}
    before = alice.api
    assert "would sign" in run("rotate_jwt_key", "--dry-run")
    done = run_json("rotate_jwt_key")
    assert (done["kept"], done["dropped"], done["staged"]) == (1, 0, None)
    assert before.get("/v1/auth/me").status_code == 200
    assert "staged" in run("rotate_jwt_key", "--stage")
    file.write_text("garbage")
    with pytest.raises(CommandError, match="must begin with"):
        run("rotate_jwt_key")


def test_making_a_root_key_leaves_an_event_that_does_not_name_the_file(db, tmp_path):
    key_id = run("create_root_key", f"file:{tmp_path}/root.key").strip()
    assert key_id.startswith("local:")
    event = AuditEvent.objects.get()
    assert (event.action, event.details) == ("key.create_root", {"kind": "file"})
    with pytest.raises(CommandError, match="files and PKCS"):
        run("create_root_key", "env:KEY")
    assert AuditEvent.objects.count() == 1

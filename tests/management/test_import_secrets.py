import json
import threading
import time
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from secrets_app.models import AuditEvent, Secret, SecretVersion
from tests.cast import allow, body, deny, secret_url

CANARY = "canary-" + "e0a"


def run(*arguments):
    out = StringIO()
    call_command("import_secrets", *map(str, arguments), stdout=out)
    return out.getvalue()


def run_json(*arguments):
    return json.loads(run(*arguments, "--json"))


def refused(*arguments):
    """The exit status and what was printed."""
    out = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("import_secrets", *map(str, arguments), stdout=out)
    return caught.value.returncode, out.getvalue() + str(caught.value)


@pytest.fixture
def file(tmp_path):
    def write(content):
        made = tmp_path / "secrets"
        made.write_text(content if isinstance(content, str) else json.dumps(content))
        return made

    return write


def value_of(person, vault, path):
    return person.api.get(secret_url(vault, path)).json()["value"]


def test_a_dotenv_file(alice, vault, file):
    source = file("API_KEY='a b'\nEMPTY=\n")
    said = run(source, "--from", "dotenv", "--vault", "team", "--prefix", "app", "--type", "note")
    assert said == "2 created, 0 updated, 0 skipped, 0 conflicts, 0 invalid\n"
    answer = alice.api.get(secret_url(vault, "app/API_KEY")).json()
    assert (answer["value"], answer["type"], answer["version"]) == ("a b", "note", 1)
    assert answer["created_by"] == f"user:{alice.principal.id}"
    assert value_of(alice, vault, "app/EMPTY") == ""
    events = AuditEvent.objects.filter(actor_type="operator", vault_id=vault.id)
    written = events.get(action="secret.write", details__path="app/API_KEY")
    assert written.details == {
        "path": "app/API_KEY",
        "for": str(alice.principal.id),
        "version": 1,
        "type": "note",
    }
    assert events.get(action="secret.import").details == {
        "for": str(alice.principal.id),
        "created": 2,
        "updated": 0,
        "skipped": 0,
    }


def test_more_than_a_batch_of_json(alice, vault, file, capsys):
    tree = {"many": {f"n{n}": f"value {n}" for n in range(450)}}
    told = run_json(file(tree), "--from", "json", "--vault", vault.id)
    assert told["imported"] is True
    assert len(told["created"]) == 450
    assert capsys.readouterr().err == ""
    assert Secret.objects.count() == SecretVersion.objects.count() == 450
    assert value_of(alice, vault, "many/n449") == "value 449"


def test_a_dry_run_changes_nothing(alice, vault, file):
    alice.api.put(secret_url(vault, "old"), body())
    events = AuditEvent.objects.count()
    source = file({"old": CANARY, "new": CANARY})
    arguments = (source, "--from", "json", "--vault", "team", "--dry-run")
    said = run(*arguments, "--on-conflict", "new-version")
    assert said.splitlines() == [
        "created    new",
        "updated    old",
        "not imported: 1 created, 1 updated, 0 skipped, 0 conflicts, 0 invalid",
    ]
    status, said = refused(*arguments)
    assert (status, "conflict   old has a secret already" in said) == (1, True)
    assert CANARY not in said
    assert Secret.objects.count() == 1
    assert AuditEvent.objects.count() == events


def test_where_a_secret_is_already(alice, vault, file):
    alice.api.put(secret_url(vault, "old"), body("kept"))
    alice.api.put(secret_url(vault, "gone"), body("deleted"))
    alice.api.delete(secret_url(vault, "gone"))
    source = file({"old": "new", "gone": "again", "fresh": "f"})
    arguments = (source, "--from", "json", "--vault", "team")
    status, said = refused(*arguments)
    assert (status, "Nothing was imported" in said) == (1, True)
    assert alice.api.get(secret_url(vault, "fresh")).status_code == 404
    assert alice.api.get(secret_url(vault, "gone")).status_code == 410
    told = run_json(*arguments, "--on-conflict", "skip")
    assert (told["created"], told["skipped"]) == (["fresh", "gone"], ["old"])
    assert value_of(alice, vault, "old") == "kept"
    assert alice.api.get(secret_url(vault, "gone")).json()["version"] == 2
    told = run_json(*arguments, "--on-conflict", "new-version")
    assert told["updated"] == ["fresh", "gone", "old"]
    assert value_of(alice, vault, "old") == "new"
    assert "0 created, 0 updated, 3 skipped" in run(*arguments, "--on-conflict", "skip")


def test_what_is_invalid_stops_it_all_unless_it_is_to_be_left_out(alice, vault, file):
    source = file({"good": "1", "b.d": CANARY, "list": [CANARY]})
    arguments = (source, "--from", "json", "--vault", "team", "--prefix", "p")
    status, said = refused(*arguments)
    assert status == 1
    assert "invalid    p/b.d is no valid path" in said
    assert "invalid    p/list is neither text nor a number" in said
    assert CANARY not in said
    assert Secret.objects.count() == 0
    told = run_json(*arguments, "--skip-invalid")
    assert (told["created"], len(told["invalid"])) == (["p/good"], 2)


def test_nothing_is_half_imported(alice, vault, file, monkeypatch):
    """The second batch fails after the first was inserted."""
    from secrets_app.services.secrets import importing

    record_all, calls = importing.record_all, []

    def fails_later(events, *, actor):
        calls.append(1)
        if len(calls) == 2:
            raise DatabaseError
        record_all(events, actor=actor)

    monkeypatch.setattr(importing, "record_all", fails_later)
    before = AuditEvent.objects.count()
    tree = {f"n{n}": "v" for n in range(300)}
    with pytest.raises(DatabaseError):
        run(file(tree), "--from", "json", "--vault", "team")
    assert len(calls) == 2
    assert Secret.objects.count() == SecretVersion.objects.count() == 0
    assert AuditEvent.objects.count() == before


def test_in_the_name_of_somebody_who_may(alice, bob, vault, file):
    allow(bob, vault, "app/**", "write")
    deny(bob, vault, "app/x", "write")
    arguments = ("--from", "json", "--vault", "team", "--as", "bob@example.com")
    run(file({"app/a": "1"}), *arguments)
    answer = alice.api.get(secret_url(vault, "app/a")).json()
    assert answer["created_by"] == f"user:{bob.principal.id}"
    status, said = refused(file({"app/b": CANARY, "app/x": CANARY, "y": CANARY}), *arguments)
    assert (status, "2 of the 3 paths" in said) == (1, True)
    assert Secret.objects.count() == 1
    denied = AuditEvent.objects.filter(outcome="denied", actor_type="operator")
    assert sorted(each.details["path"] for each in denied) == ["app/x", "y"]
    bob.user.is_active = False
    bob.user.save()
    status, said = refused(file({"app/b": "1"}), *arguments)
    assert (status, "not active" in said) == (1, True)


def test_a_value_of_any_size_up_to_the_bound(alice, vault, file, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"MAX_VALUE_BYTES": 1000}
    source = file({"fits": "ü" * 500, "large": "x" * 1001})
    status, said = refused(source, "--from", "json", "--vault", "team")
    assert (status, "large is larger than 1000 bytes" in said) == (1, True)
    run(source, "--from", "json", "--vault", "team", "--skip-invalid")
    assert value_of(alice, vault, "fits") == "ü" * 500


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["/nowhere/file", "--from", "json"], 2, "cannot be read"),
        (["BINARY", "--from", "dotenv"], 2, "not UTF-8"),
        (["LIST", "--from", "json"], 2, "one JSON object"),
        (["LIST", "--from", "json", "--prefix", "a//b"], 1, "--prefix"),
        (["LIST", "--from", "json", "--type", "riddle"], 1, "--type"),
        (["https://127.0.0.1:1", "--from", "hcvault"], 2, "no token"),
        (["https://127.0.0.1:1", "--from", "hcvault", "--token-file", "LIST"], 2, "did not give"),
        (["http://192.0.2.1", "--from", "hcvault", "--token-file", "LIST"], 2, "loopback"),
        (["http://a@127.0.0.1", "--from", "hcvault", "--token-file", "LIST"], 2, "https://"),
    ],
)
def test_what_makes_no_sense_or_is_not_there_is_said(
    vault, tmp_path, monkeypatch, arguments, status, says
):
    monkeypatch.delenv("VAULT_TOKEN", raising=False)
    (tmp_path / "BINARY").write_bytes(b"\xff\xfe")
    (tmp_path / "LIST").write_text("[]")
    named = [str(tmp_path / each) if each.isupper() else each for each in arguments]
    found, said = refused(*named, "--vault", "team")
    assert (found, says in said) == (status, True), said


def test_a_writer_that_was_faster_is_not_overwritten(alice, vault, file, monkeypatch):
    """Between the plan and the import somebody writes one of the paths."""
    from secrets_app.management.commands import import_secrets

    plan_import = import_secrets.plan_import

    def and_then_somebody_writes(**arguments):
        plan = plan_import(**arguments)
        alice.api.put(secret_url(vault, "b"), body("faster"))
        return plan

    monkeypatch.setattr(import_secrets, "plan_import", and_then_somebody_writes)
    status, said = refused(file({"a": "1", "b": "2"}), "--from", "json", "--vault", "team")
    assert (status, "by now" in said) == (1, True)
    assert value_of(alice, vault, "b") == "faster"
    assert alice.api.get(secret_url(vault, "a")).status_code == 404


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_it_does_not_deadlock_with_a_writer_of_some_of_its_paths(alice, vault, file, monkeypatch):
    """That writer has made the row of a late path, and then locks that of an early one."""
    from secrets_app.services.secrets import importing

    alice.api.put(secret_url(vault, "n000"), body())
    lock_or_create, calls = importing.lock_or_create, []
    monkeypatch.setattr(
        importing, "lock_or_create", lambda *given: calls.append(1) or lock_or_create(*given)
    )
    made, failures = threading.Event(), []

    def write():
        try:
            with transaction.atomic():
                Secret.objects.create(vault_id=vault.pk, path="n500")
                made.set()
                time.sleep(1)
                Secret.objects.select_for_update().get(path="n000")
        except DatabaseError as error:
            failures.append(error)
        finally:
            connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    made.wait()
    tree = {f"n{n:03}": "v" for n in range(600)}
    run(file(tree), "--from", "json", "--vault", "team", "--on-conflict", "new-version")
    writer.join()
    assert not failures
    assert len(calls) == 3  # the batches, each once: it was not carried out anew
    assert value_of(alice, vault, "n500") == "v"


@pytest.mark.only_on("sqlite")
def test_a_real_openbao_server(alice, vault, openbao, tmp_path, monkeypatch):
    kv = openbao.admin.secrets.kv.v2
    entries = {
        "app/db": {"user": "dora", "password": "p ä\n", "port": 5432},
        "app/deep/er": {"key": "k"},
        "app": {"top": "t"},
        "elsewhere": {"x": CANARY},
    }
    for path, fields in entries.items():
        kv.create_or_update_secret(path=path, secret={"old": "version"}, mount_point="secret")
        kv.create_or_update_secret(path=path, secret=fields, mount_point="secret")
    kv.create_or_update_secret(path="app/gone", secret={"x": CANARY}, mount_point="secret")
    kv.delete_latest_version_of_secret(path="app/gone", mount_point="secret")
    openbao.admin.sys.create_or_update_policy(
        "reader",
        'path "secret/metadata/*" { capabilities = ["list"] }\n'
        'path "secret/data/app*" { capabilities = ["read"] }\n'
        'path "secret/data/app/secret-one" { capabilities = ["deny"] }',
    )
    token = openbao.admin.auth.token.create(policies=["reader"])["auth"]["client_token"]
    file = tmp_path / "token"
    file.write_text(token + "\n")
    address = openbao.admin.url
    server = (
        address,
        "--from",
        "hcvault",
        "--newest-only",
        "--vault",
        "team",
        "--ca",
        openbao.admin.session.verify,
    )
    told = run_json(*server, "--under", "app", "--token-file", file, "--prefix", "bao")
    assert told["created"] == [
        "bao/app/db/password",
        "bao/app/db/port",
        "bao/app/db/user",
        "bao/app/deep/er/key",
    ]
    assert value_of(alice, vault, "bao/app/db/password") == "p ä\n"
    assert value_of(alice, vault, "bao/app/db/port") == "5432"
    # What may not be read stops it all, and is named; so is a server that says no.
    monkeypatch.setenv("VAULT_TOKEN", token)
    status, said = refused(*server)
    assert (status, "did not give elsewhere (Forbidden)" in said) == (2, True)
    kv.create_or_update_secret(path="app/list", secret={"l": [CANARY]}, mount_point="secret")
    status, said = refused(*server, "--under", "app", "--prefix", "second")
    assert (status, "second/app/list/l is neither text nor a number" in said) == (1, True)
    assert CANARY not in said
    status, said = refused(*server, "--mount", "none")
    assert (status, "Forbidden" in said) == (2, True)
    status, said = refused(*server, "--under", "app/db")  # an entry and no folder
    assert (status, "no entries" in said) == (2, True)
    assert Secret.objects.count() == 4

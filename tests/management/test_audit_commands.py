import gzip
import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

from secrets_app.models import AuditEvent, AuditSeal
from secrets_app.services.audit.seal import seal_events


def run(*arguments):
    out = StringIO()
    call_command(*map(str, arguments), stdout=out)
    return out.getvalue()


def run_json(*arguments):
    return json.loads(run(*arguments, "--json"))


def test_sealing_once(log, tmp_path):
    file = tmp_path / "checkpoint"
    assert run_json("seal_audit", "--checkpoint", file) == {
        "seals": 1,
        "events": 3,
        "last_seal": 4,
    }
    assert json.loads(file.read_text())["seal"]["number"] == 4
    assert file.stat().st_mode & 0o777 == 0o600
    assert run("seal_audit") == "0 events sealed in 0 seals\n"
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint"]


def test_a_checkpoint_that_cannot_be_written_is_said(log, tmp_path):
    with pytest.raises(CommandError, match="cannot be written"):
        run("seal_audit", "--checkpoint", tmp_path / "none" / "checkpoint")


@pytest.mark.parametrize("every", ["0", "-1", "nan", "1e9"])
def test_sealing_every_so_often_has_bounds(db, every):
    with pytest.raises(CommandError, match=r"0\.1 to 86400"):
        run("seal_audit", "--every", every)


def test_verifying(log, capsys, tmp_path):
    assert "15 of 15 events verified, 3 of them not sealed yet; 3 seals" in run("verify_audit")
    assert "events: 15 of 15" in capsys.readouterr().err
    event = AuditEvent.objects.get(action="audit.verify")
    assert event.details == {"checked": 15, "findings": 0}
    victim = AuditEvent.objects.filter(seal_number=2).order_by("id").first()
    AuditEvent.objects.filter(pk=victim.pk).update(action="edited")
    out = StringIO()
    with pytest.raises(CommandError, match="tampered") as caught:
        call_command("verify_audit", stdout=out)
    assert caught.value.returncode == 1
    assert f"event {victim.pk}: has a MAC" in out.getvalue()
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("verify_audit", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert (told["valid"], told["findings"][0]["id"]) == (False, str(victim.pk))


def test_verifying_against_a_checkpoint(log, tmp_path):
    file = tmp_path / "checkpoint"
    run("seal_audit", "--checkpoint", file)
    run("verify_audit", "--checkpoint", file)
    AuditEvent.objects.filter(seal_number=4).delete()
    AuditSeal.objects.filter(number=4).delete()
    run("verify_audit")
    out = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("verify_audit", "--checkpoint", str(file), stdout=out)
    assert caught.value.returncode == 1
    assert "seal 4: is missing: the log was cut off" in out.getvalue()


def test_findings_are_shown_even_when_no_event_can_be_left_of_them(log):
    """Without the audit key there are no MACs: that is when somebody has to be told."""
    from secrets_app.models import AuditKey
    from secrets_app.services.sealing.audit_keys import forget_audit_key

    AuditKey.objects.update(wrapped=b"x" * 60)
    forget_audit_key()
    out, err = StringIO(), StringIO()
    with pytest.raises(CommandError, match="tampered") as caught:
        call_command("verify_audit", stdout=out, stderr=err)
    assert caught.value.returncode == 1
    assert out.getvalue().startswith("key 1: does not open")
    assert "No event was left of this" in err.getvalue()


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"{}"])
def test_a_file_that_is_no_checkpoint_is_said(log, tmp_path, content):
    file = tmp_path / "checkpoint"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CommandError) as caught:
        run("verify_audit", "--checkpoint", file)
    assert caught.value.returncode == 2


def test_without_the_provider_nothing_is_known(log, monkeypatch):
    from secrets_app.errors import ProviderUnavailable
    from secrets_app.services.audit import verify

    def away():
        raise ProviderUnavailable

    monkeypatch.setattr(verify, "opened_audit_keys", away)
    with pytest.raises(CommandError, match="Nothing was verified") as caught:
        run("verify_audit")
    assert caught.value.returncode == 2


def lines_of(raw):
    return [json.loads(line) for line in raw.decode().splitlines()]


def test_exporting_to_a_file_appends(log, tmp_path, capsys):
    file = tmp_path / "audit.jsonl"
    run("export_audit", "--output", file, "--new")
    assert "12 events of 3 seals written" in capsys.readouterr().err
    assert len(lines_of(file.read_bytes())) == 15
    assert file.stat().st_mode & 0o777 == 0o600
    run("export_audit", "--output", file, "--new")
    assert len(lines_of(file.read_bytes())) == 15
    seal_events()
    run("export_audit", "--output", file, "--new")
    assert len(lines_of(file.read_bytes())) == 15 + 3 + 1 + 1  # and the event of the export


def test_exporting_compressed(log, tmp_path):
    file = tmp_path / "audit.jsonl.gz"
    run("export_audit", "--output", file, "--gzip", "--new")
    seal_events()
    run("export_audit", "--output", file, "--gzip", "--new")
    run("export_audit", "--output", file, "--gzip", "--new")
    with gzip.open(file) as opened:
        assert len(lines_of(opened.read())) == 20


def test_exporting_to_standard_output(log, capfdbinary):
    run("export_audit", "--after-seal", 2)
    assert len(lines_of(capfdbinary.readouterr().out)) == 5
    run("export_audit", "--gzip")
    assert len(lines_of(gzip.decompress(capfdbinary.readouterr().out))) == 15


def test_exporting_a_time(log, tmp_path):
    file = tmp_path / "audit.jsonl"
    run("export_audit", "--output", file, "--to", "2026-01-01")
    assert not file.exists()
    run("export_audit", "--output", file, "--from", "2026-01-01", "--to", "9999-01-01T00:00Z")
    assert len(lines_of(file.read_bytes())) == 15
    with pytest.raises(CommandError, match="A time is"):
        run("export_audit", "--from", "yesterday")
    with pytest.raises(CommandError, match="0 or more"):
        run("export_audit", "--after-seal", "-1")


def test_what_cannot_be_written_is_said_and_not_marked(log, tmp_path):
    with pytest.raises(CommandError, match="cannot be written"):
        run("export_audit", "--output", tmp_path)
    assert not AuditSeal.objects.filter(exported_at__isnull=False).exists()


def test_pruning(log, tmp_path):
    tomorrow = (timezone.now() + timedelta(days=1)).isoformat()
    assert run_json("prune_audit", "--before", tomorrow) == {
        "seals": 0,
        "events": 0,
        "altered": [],
        "not_exported": 3,
    }
    assert "3 older seals stay" in run("prune_audit", "--before", tomorrow)
    run("export_audit", "--output", tmp_path / "audit.jsonl")
    before = AuditEvent.objects.count()
    assert "12 events of 3 seals would be removed" in run(
        "prune_audit", "--before", tomorrow, "--dry-run"
    )
    assert AuditEvent.objects.count() == before
    victim = AuditEvent.objects.filter(seal_number=2).first()
    AuditEvent.objects.filter(pk=victim.pk).update(action="edited")
    with pytest.raises(CommandError, match=r"1 seals \(2\).*verify_audit") as caught:
        run("prune_audit", "--before", tomorrow)
    assert caught.value.returncode == 1
    AuditEvent.objects.filter(pk=victim.pk).update(action=victim.action)
    assert "4 events of 1 seals removed" in run("prune_audit", "--before", tomorrow)
    assert "the events of 3 pruned" in run("verify_audit")
    with pytest.raises(CommandError, match="A time is"):
        run("prune_audit", "--before", "soon")


@pytest.fixture
def home(tmp_path):
    """An installation of its own, for commands that run on."""
    environment = {
        "PATH": os.environ["PATH"],
        "VAULTSITE_HOME": str(tmp_path / "var"),
        "DJANGO_SETTINGS_MODULE": "vaultsite.settings",
    }
    command = [sys.executable, "manage.py", "quickstart", "--json"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return environment


def start(home, *arguments):
    command = [sys.executable, "manage.py", *map(str, arguments)]
    return subprocess.Popen(
        command, env=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def end(process, sign=signal.SIGTERM):
    process.send_signal(sign)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    return out


@pytest.mark.only_on("sqlite")
def test_services_go_on_until_they_are_stopped(home, tmp_path):
    file, checkpoint = tmp_path / "shipped.jsonl", tmp_path / "checkpoint"
    shipper = start(home, "export_audit", "--follow", "--every", 0.2, "--output", file)
    sealer = start(home, "seal_audit", "--every", 0.2, "--json", "--checkpoint", checkpoint)
    wait_for(lambda: file.exists() and checkpoint.exists())
    for line in end(sealer).splitlines():
        json.loads(line)
    end(shipper, signal.SIGINT)
    lines = lines_of(file.read_bytes())
    assert any(line.get("event", {}).get("action") == "vault.create" for line in lines)


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_for_a_moment_does_not_end_a_shipper(log, tmp_path, capsys):
    file, failures = tmp_path / "shipped.jsonl", [1, 2]
    handlers = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}

    def away(execute, sql, params, many, context):
        if failures:
            failures.pop()
            raise OperationalError("the database is away")
        if sql.startswith("UPDATE"):  # the seals are marked: it has written them
            os.kill(os.getpid(), signal.SIGTERM)
        return execute(sql, params, many, context)

    try:
        with connection.execute_wrapper(away):
            run("export_audit", "--follow", "--every", "0.1", "--output", file)
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
    assert not failures
    assert capsys.readouterr().err.count("OperationalError") == 2
    assert len(lines_of(file.read_bytes())) == 15


@pytest.mark.only_on("sqlite")
def test_a_sealer_ends_with_the_process_that_started_it(home, tmp_path):
    code = (
        "import os, subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, 'manage.py', 'seal_audit', '--every', '0.2',"
        " '--with-parent', str(os.getpid())])\n"
        "print('started', flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], env=home, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout.readline() == "started\n"
    parent.kill()
    # The end of the pipe comes when the sealer, which shares it, has ended too.
    parent.communicate(timeout=30)

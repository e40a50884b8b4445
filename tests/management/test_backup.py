import os
import sqlite3
import subprocess
from contextlib import closing
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from secrets_app.models import AuditEvent
from tests.postgresql import BIN


@pytest.fixture(autouse=True)
def _programs(monkeypatch):
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")


def run(file, *arguments):
    out = StringIO()
    call_command("backup", str(file), *arguments, stdout=out)
    return out.getvalue()


def test_a_backup_is_whole_and_its_owners_alone(alice, tmp_path):
    file = tmp_path / "backup"
    assert f"bytes in {file}" in run(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["backup"]
    if connection.vendor == "postgresql":
        command = ["pg_restore", "--list", str(file)]
        listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert "TABLE DATA public secrets_app_auditevent" in listed
    else:
        with closing(sqlite3.connect(file)) as copy:
            (tables,) = copy.execute("SELECT count(*) FROM sqlite_master").fetchone()
        assert tables > 10
    event = AuditEvent.objects.get(action="backup.create")
    assert event.actor_type == "operator"
    assert str(tmp_path) not in str(event.details)


def test_an_older_backup_is_not_overwritten(alice, tmp_path):
    file = tmp_path / "backup"
    file.write_text("older")
    with pytest.raises(CommandError, match="there already"):
        run(file)
    assert file.read_text() == "older"


def test_where_nothing_can_be_written_it_is_said(alice, tmp_path):
    with pytest.raises(CommandError, match="cannot be written"):
        run(tmp_path / "none" / "backup")
    assert not AuditEvent.objects.filter(action="backup.create").exists()


@pytest.mark.only_on("postgresql")
def test_without_pg_dump_it_says_what_to_install(alice, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match="client programs"):
        run(tmp_path / "backup")
    assert not list(tmp_path.iterdir())


@pytest.mark.only_on("postgresql")
def test_what_pg_dump_cannot_do_leaves_no_file(alice, tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(connection.settings_dict, "NAME", "no-such-database")
    with pytest.raises(CommandError, match="pg_dump failed"):
        run(tmp_path / "backup")
    assert "no-such-database" in capfd.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.only_on("sqlite")
def test_a_database_that_is_not_sound_is_said(alice, tmp_path, monkeypatch):
    broken = tmp_path / "broken.sqlite3"
    broken.write_bytes(b"SQLite format 3\0" + b"\xff" * 4096)
    monkeypatch.setitem(connection.settings_dict, "NAME", str(broken))
    with pytest.raises(CommandError, match="SQLite could not"):
        run(tmp_path / "backup")
    assert [each.name for each in tmp_path.iterdir()] == ["broken.sqlite3"]

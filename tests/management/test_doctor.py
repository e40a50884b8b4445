import json
import os
import subprocess
import sys
from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from secrets_app.models import AuditEvent, Secret
from secrets_app.providers.local import generate_root_key_text
from secrets_app.services.audit.seal import seal_events
from tests.cast import body, secret_url, write_events
from tests.security.test_no_event_no_action import read_only_log  # noqa: F401


def examine():
    """Findings by what they are about, and whether the command failed."""
    out = StringIO()
    try:
        call_command("doctor", "--json", stdout=out)
        failed = False
    except CommandError as error:
        failed = error.returncode == 1
    told = json.loads(out.getvalue())
    assert told["well"] is not failed
    return told["findings"], failed


def found(about, status):
    """What is found about something with that status; each tells what to do."""
    findings, failed = examine()
    matching = [each for each in findings if (each["about"], each["status"]) == (about, status)]
    assert matching, findings
    assert status != "failure" or failed
    assert status == "ok" or all(each["advice"] for each in matching)
    return " ".join(each["said"] + " " + each["advice"] for each in matching)


def test_all_is_well(alice, vault, settings):
    settings.SECURE_SSL_REDIRECT = True
    seal_events()
    findings, failed = examine()
    assert not failed
    about = {each["about"] for each in findings if each["status"] == "ok"}
    assert about >= {"TLS", "database", "migrations", "root keys", "audit log", "clock", "purging"}
    assert AuditEvent.objects.filter(action="doctor.run", actor_type="operator").count() == 1


def test_it_is_drawn_for_people(alice):
    out = StringIO()
    call_command("doctor", stdout=out)
    text = out.getvalue()
    assert "what to do" in text
    assert "answers in" in text
    assert "\x1b" not in text


def test_settings_of_a_deployment(alice, settings):
    settings.DEBUG = True
    settings.SECRETS_APP = settings.SECRETS_APP | {"MISTYPED": 1}
    assert "secrets_app.E002" in found("settings", "failure")
    assert "security.W018" in str(examine())


def test_plain_http_is_told_once(alice, settings):
    settings.SECURE_SSL_REDIRECT = False
    assert "INSECURE_HTTP" in found("TLS", "warning")
    assert "W008" not in str(examine())


def test_a_proxy_trusted_by_half(alice, settings):
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert "TRUSTED_PROXIES" in found("TLS", "warning")
    settings.SECRETS_APP = settings.SECRETS_APP | {"TRUSTED_PROXIES": ["127.0.0.1/32"]}
    found("TLS", "ok")


def test_migrations_that_are_missing_or_unknown(alice):
    recorded = MigrationRecorder.Migration.objects.filter(app="secrets_app").order_by("-id")
    name = recorded.first().name
    recorded.filter(name=name).update(name="9999_from_the_future")
    assert "manage.py migrate" in found("migrations", "failure")
    MigrationRecorder.Migration.objects.create(app="secrets_app", name=name)
    assert "9999_from_the_future" in found("migrations", "warning")


def test_another_root_key(alice, vault, settings, monkeypatch):
    monkeypatch.setenv("ANOTHER_ROOT_KEY", generate_root_key_text())
    old = settings.SECRETS_APP["ROOT_KEY_URLS"]
    settings.SECRETS_APP = settings.SECRETS_APP | {"ROOT_KEY_URLS": ["env:ANOTHER_ROOT_KEY"]}
    assert "not configured" in found("root keys", "failure")
    settings.SECRETS_APP = settings.SECRETS_APP | {"ROOT_KEY_URLS": ["env:ANOTHER_ROOT_KEY", *old]}
    assert "rotate_root" in found("root keys", "warning")
    settings.SECRETS_APP = settings.SECRETS_APP | {"ROOT_KEY_URLS": ["env:NOT_THERE"]}
    assert "docs/keys.md" in found("root keys", "failure")


def test_a_provider_that_is_away(alice, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {
        "ROOT_KEY_URLS": [*settings.SECRETS_APP["ROOT_KEY_URLS"], "away:1"],
        "EXTRA_KEY_PROVIDERS": {"away": "tests.test_metrics.AwayProvider"},
    }
    assert "cannot be reached" in found("root keys", "warning")
    urls = list(reversed(settings.SECRETS_APP["ROOT_KEY_URLS"]))
    settings.SECRETS_APP = settings.SECRETS_APP | {"ROOT_KEY_URLS": urls}
    assert "cannot be reached" in found("root keys", "failure")


def test_a_log_that_is_not_sealed(alice):
    write_events(1)
    with time_machine.travel(timezone.now() + timedelta(seconds=400), tick=True):
        assert "seal_audit" in found("audit log", "failure")
        seal_events()
        assert "sealed" in found("audit log", "ok")


def test_a_log_that_cannot_be_written(alice, read_only_log):  # noqa: F811
    read_only_log()
    assert "cannot be written" in found("audit log", "failure")


def test_a_clock_that_is_wrong(alice):
    seal_events()
    with time_machine.travel(timezone.now() - timedelta(seconds=100), tick=True):
        assert "NTP" in found("clock", "failure")
    AuditEvent.objects.all().delete()
    with time_machine.travel(timezone.now() - timedelta(seconds=5), tick=True):
        if connection.vendor == "postgresql":
            assert "+" in found("clock", "warning")
    with time_machine.travel(timezone.now() + timedelta(seconds=5), tick=True):
        if connection.vendor == "postgresql":
            assert "-" in found("clock", "warning")


def test_what_should_have_been_purged(alice, vault, settings):
    alice.api.put(secret_url(vault), body())
    days = settings.SECRETS_APP["DELETED_RETENTION_DAYS"]
    Secret.objects.update(deleted_at=timezone.now() - timedelta(days=days + 1))
    found("purging", "ok")
    Secret.objects.update(deleted_at=timezone.now() - timedelta(days=days + 4))
    assert "0 vaults and 1 secrets" in found("purging", "warning")


@pytest.mark.only_on("sqlite")
def test_a_full_disk(alice, monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")(100, 95, 5)
    monkeypatch.setattr("secrets_app.services.operations.doctor.shutil.disk_usage", lambda _: usage)
    assert "5% free" in found("disk", "warning")


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize("kind", ["unreachable", "damaged"])
def test_a_database_that_is_away_or_damaged(tmp_path, kind):
    """A process of its own: nothing else is looked for in the database, and all the rest is."""
    home = tmp_path / "var"
    environment = {"PATH": os.environ["PATH"], "VAULTSITE_HOME": str(home)}
    start = [sys.executable, "manage.py"]
    subprocess.run([*start, "quickstart"], env=environment, check=True, capture_output=True)
    if kind == "damaged":
        file = home / "db.sqlite3"
        raw = bytearray(file.read_bytes())
        raw[4096 * 2 : 4096 * 9] = b"\xff" * 4096 * 7
        file.write_bytes(raw)
    else:
        environment["DATABASE_URL"] = "postgres://u:s3cr3t@127.0.0.1:1/none"
    command = [*start, "doctor", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    told = {(each["about"], each["status"]) for each in json.loads(done.stdout)["findings"]}
    assert ("database", "failure") in told
    assert ("root keys", "ok") in told
    assert not {about for about, _ in told} & {"migrations", "audit log"}
    assert "s3cr3t" not in done.stdout + done.stderr


def test_the_issuers_that_settings_name(alice, issuer, settings):
    assert f"{issuer.url} has 3 keys" in found("issuers", "ok")
    issuer.go_away()
    assert "docs/workloads.md" in found("issuers", "failure")
    issuer.publish("rsa", keys=[{"kty": "oct"}])
    findings, _ = examine()
    about = {each["status"] for each in findings if each["about"] == "issuers"}
    assert about == {"warning"}
    settings.SECRETS_APP = settings.SECRETS_APP | {"FEDERATION_ISSUERS": [issuer.url]}
    assert "certificate not valid" in found("issuers", "failure")

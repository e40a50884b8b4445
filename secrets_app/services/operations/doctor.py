"""Examine the installation: what works, what does not, and what to do about it."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from django.conf import settings
from django.core import checks
from django.db import DatabaseError, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Max
from django.utils import timezone

from secrets_app.conf import app_settings
from secrets_app.errors import ConfigurationError, CryptoError, IssuerUnavailable
from secrets_app.federation.issuers import fetch_keys
from secrets_app.models import AuditEvent, AuditKey, VaultKey
from secrets_app.services.audit import OPERATOR, SUCCESS, Resource, record
from secrets_app.services.audit.health import seal_lag
from secrets_app.services.identity.agents import count_stopped
from secrets_app.services.identity.assertion_sign_in import key_source
from secrets_app.services.keys.health import providers
from secrets_app.services.secrets.purge import count_purgeable

_OLDEST_POSTGRESQL = 150_000
_SLOW_DATABASE_S = 0.1
_SKEW_WARN_S, _SKEW_FAIL_S = 1.0, 30.0
_PURGE_OVERDUE = timedelta(days=3)
_MIN_FREE_DISK = 0.10
# Django's warnings about a deployment without TLS. `_tls` reports that once instead.
_PLAIN_HTTP = {f"security.W0{number}" for number in ("04", "08", "12", "16")}


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """A result of the examination. `advice` is empty when there is nothing to do."""

    about: str
    status: Status
    said: str
    advice: str = ""


def examine() -> list[Finding]:
    """Examine everything, and go on after failures. Records the event `doctor.run`."""
    connection = connections[router.db_for_write(AuditEvent)]
    found = list(_settings(connection.alias)) + list(_tls())
    database = list(_guarded("database", lambda: _database(connection)))
    found += database
    if any(each.status is Status.FAILURE for each in database):
        return [*found, *_guarded("root keys", _providers)]
    migrations = list(_guarded("migrations", lambda: _migrations(connection)))
    found += migrations
    found += _guarded("root keys", _providers)
    if any(each.status is Status.FAILURE for each in migrations):
        return found  # tables may be missing
    for about, look in (
        ("root keys", _root_keys_in_use),
        ("audit log", _audit_writing),
        ("audit log", _audit_sealing),
        ("issuers", _issuers),
        ("clock", lambda: _clock(connection)),
        ("purging", _purging),
        ("agents", _agents_without_owner),
        ("disk", lambda: _disk(connection)),
    ):
        found += _guarded(about, look)
    return found


def _guarded(about: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Turn an exception of a check into a finding that names its class: drivers' messages may hold
    secrets.
    """
    try:
        yield from look()
    except (ConfigurationError, CryptoError) as error:
        yield Finding(about, Status.FAILURE, error.detail, "See docs/keys.md.")
    except DatabaseError as error:
        said = f"The database did not answer this ({type(error).__name__})."
        advice = "Look into the database's log; check DATABASE_URL, the role and its rights."
        yield Finding(about, Status.FAILURE, said, advice)


def _settings(alias: str) -> Iterator[Finding]:
    """Run the checks of the server's start, and Django's deployment checks."""
    found = checks.run_checks(tags=["secrets_app"], databases=[alias])
    found += checks.run_checks(tags=["security"], include_deployment_checks=True)
    if not settings.SECURE_SSL_REDIRECT:
        found = [message for message in found if message.id not in _PLAIN_HTTP]
    for message in found:
        is_error = message.is_serious(checks.ERROR)
        status = Status.FAILURE if is_error else Status.WARNING
        yield Finding("settings", status, f"{message.msg} ({message.id})", message.hint or "")
    if not found:
        yield Finding("settings", Status.OK, "as they should be in production")


def _tls() -> Iterator[Finding]:
    if not settings.SECURE_SSL_REDIRECT:
        advice = "Unset INSECURE_HTTP, and terminate TLS before the service. See deploy/nginx.conf."
        yield Finding("TLS", Status.WARNING, "Plain HTTP is served.", advice)
        return
    if settings.SECURE_PROXY_SSL_HEADER and not app_settings.TRUSTED_PROXIES:
        said = "A proxy is trusted about TLS, but not about addresses: all callers seem to be it."
        advice = "Name the proxy's network in TRUSTED_PROXIES."
        yield Finding("TLS", Status.WARNING, said, advice)
        return
    yield Finding("TLS", Status.OK, "plain HTTP is redirected")


def _database(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    first_s = time.perf_counter() - started
    if connection.vendor == "postgresql":
        version = int(getattr(connection, "pg_version", 0))
        name = f"PostgreSQL {version // 10_000}.{version % 10_000}"
        if version < _OLDEST_POSTGRESQL:
            advice = "Move to PostgreSQL 15 or newer."
            yield Finding("database", Status.WARNING, f"{name} is too old.", advice)
    else:
        name = "SQLite"
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA quick_check(1)")
            verdict = cursor.fetchone()[0]
        if verdict != "ok":
            advice = "Restore a backup: docs/operations.md, «Backup and restore»."
            yield Finding("database", Status.FAILURE, "The file is damaged.", advice)
    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    again_s = time.perf_counter() - started
    said = f"{name} answers in {again_s * 1000:.1f} ms ({first_s * 1000:.0f} ms with connecting)"
    if again_s > _SLOW_DATABASE_S:
        advice = "Each request asks it several times: move them closer, look at its load."
        yield Finding("database", Status.WARNING, said, advice)
    else:
        yield Finding("database", Status.OK, said)


def _migrations(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    unknown = set(executor.loader.applied_migrations) - set(executor.loader.disk_migrations)
    ours = {app for app, _ in executor.loader.disk_migrations}
    newer = sorted(f"{app}.{name}" for app, name in unknown if app in ours)
    if missing:
        said, advice = f"{missing} are to be applied.", "Run manage.py migrate."
        yield Finding("migrations", Status.FAILURE, said, advice)
    elif newer:
        said = f"The database has {len(newer)} that this version does not know: {newer[-1]}."
        advice = "A newer version runs on it, or ran. See docs/deployment.md, «Upgrades»."
        yield Finding("migrations", Status.WARNING, said, advice)
    else:
        yield Finding("migrations", Status.OK, "all applied")


def _providers() -> Iterator[Finding]:
    for position, health in enumerate(providers()):
        names = ", ".join(sorted(health.key_ids))
        if health.error is None:
            yield Finding("root keys", Status.OK, f"{names} works")
            continue
        status = Status.WARNING if position else Status.FAILURE
        advice = "See docs/keys.md for this kind of provider: network, token or PIN, and rights."
        yield Finding("root keys", status, f"{names}: {health.error.detail}", advice)


def _root_keys_in_use() -> Iterator[Finding]:
    """Check that each root key that wraps stored keys is configured. Whether it works is `_providers`."""
    configured = [sorted(health.key_ids) for health in providers()]
    active = set(configured[0])
    living = VaultKey.objects.exclude(state=VaultKey.State.DESTROYED)
    used = set(living.values_list("root_key_id", flat=True).distinct())
    used |= set(AuditKey.objects.values_list("root_key_id", flat=True).distinct())
    known = {key_id for key_ids in configured for key_id in key_ids}
    for key_id in sorted(used - known):
        said = f"{key_id} wraps stored keys, and is not configured."
        advice = "Restore it from your backup and name it in ROOT_KEY_URLS."
        yield Finding("root keys", Status.FAILURE, said, advice)
    for key_id in sorted((used & known) - active):
        said = f"{key_id} wraps stored keys, and is not the active one."
        yield Finding("root keys", Status.WARNING, said, "Run manage.py rotate_root --all.")


def _audit_writing() -> Iterator[Finding]:
    try:
        with transaction.atomic():
            record("doctor.run", SUCCESS, actor=OPERATOR, resource=Resource("service"))
    except (DatabaseError, CryptoError) as error:
        said = f"Events cannot be written ({type(error).__name__}): everything is refused."
        advice = "See to the root key, the database's disk and the role's right to insert."
        yield Finding("audit log", Status.FAILURE, said, advice)
    else:
        yield Finding("audit log", Status.OK, "events can be written")


def _audit_sealing() -> Iterator[Finding]:
    lag, alarm = seal_lag(), app_settings.AUDIT_SEAL_ALARM
    if alarm and lag > alarm:
        said = f"The oldest unsealed event is {lag:.0f} seconds old (alarm: {alarm})."
        advice = "Run manage.py seal_audit --every 10 as a service: deploy/systemd."
        yield Finding("audit log", Status.FAILURE, said, advice)
    else:
        yield Finding("audit log", Status.OK, f"sealed, but for the last {lag:.0f} seconds")


def _clock(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Compare the clock with the database server's and with recorded times."""
    before = timezone.now()
    there = _database_time(connection)
    after = timezone.now()
    skew_s = 0.0 if there is None else (there - (before + (after - before) / 2)).total_seconds()
    latest = AuditEvent.objects.aggregate(latest=Max("created_at"))["latest"]
    ahead_s = 0.0 if latest is None else (latest - timezone.now()).total_seconds()
    worst_s = max(abs(skew_s), ahead_s)
    if worst_s <= _SKEW_WARN_S:
        said = "runs with the database's" if there else "runs on from what was recorded"
        yield Finding("clock", Status.OK, said)
        return
    status = Status.FAILURE if worst_s > _SKEW_FAIL_S else Status.WARNING
    said = f"The database's clock differs by {skew_s:+.1f} seconds."
    if ahead_s > abs(skew_s):
        said = f"The newest event is {ahead_s:.1f} seconds in the future."
    advice = "Expiry and tokens go by this clock: keep all machines on NTP (timedatectl)."
    yield Finding("clock", status, said, advice)


def _issuers() -> Iterator[Finding]:
    """Ask each issuer of FEDERATION_ISSUERS for its keys, as a sign-in would."""
    for issuer in app_settings.FEDERATION_ISSUERS:
        try:
            keys = fetch_keys(key_source(issuer))
        except IssuerUnavailable as error:
            said = f"{issuer}: {error.detail}"
            advice = "Look at its discovery document from here: docs/workloads.md, «When it fails»."
            yield Finding("issuers", Status.FAILURE, said, advice)
        else:
            said = f"{issuer} has {len(keys.public)} keys that can be used"
            yield Finding("issuers", Status.OK if keys.public else Status.WARNING, said)


def _database_time(connection: BaseDatabaseWrapper) -> datetime | None:
    """Return the database server's time; None on SQLite, which has no clock of its own."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        at: datetime = cursor.fetchone()[0]
    return at


def _purging() -> Iterator[Finding]:
    overdue = count_purgeable(now=timezone.now() - _PURGE_OVERDUE)
    if overdue.vaults or overdue.secrets:
        said = f"{overdue.vaults} vaults and {overdue.secrets} secrets should have been destroyed."
        advice = "Run manage.py purge_secrets daily: deploy/systemd."
        yield Finding("purging", Status.WARNING, said, advice)
    else:
        yield Finding("purging", Status.OK, "nothing is overdue")


def _agents_without_owner() -> Iterator[Finding]:
    """Agents that stopped with their owner, and that nobody has dealt with."""
    found = count_stopped(now=timezone.now())
    if found:
        said = f"{found} active agents do not work, since their owner may not sign in any more."
        advice = "Give them to somebody (manage.py hand_over_agents), or deactivate them."
        yield Finding("agents", Status.WARNING, said, advice)
    else:
        yield Finding("agents", Status.OK, "the owner of each may sign in")


def _disk(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Check the disk of SQLite's file. PostgreSQL's is for its own monitoring."""
    if connection.vendor != "sqlite":
        return
    disk = shutil.disk_usage(Path(connection.settings_dict["NAME"]).resolve().parent)
    said = f"{disk.free / disk.total:.0%} free for the database"
    if disk.free < _MIN_FREE_DISK * disk.total:
        yield Finding("disk", Status.WARNING, said, "Make room: a full disk refuses everything.")
    else:
        yield Finding("disk", Status.OK, said)

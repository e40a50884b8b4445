"""Back up the whole database as of one moment, while the service goes on.

Values are as encrypted as in the database. They open with the root key, which is not in the backup.
"""

import os
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from secrets_app.errors import BackupError
from secrets_app.models import AuditEvent
from secrets_app.services.audit import OPERATOR, SUCCESS, Resource, record

# libpq's parameters and their environment variables: a command line would show them to everybody.
_LIBPQ = {
    "dbname": "PGDATABASE",
    "host": "PGHOST",
    "passfile": "PGPASSFILE",
    "password": "PGPASSWORD",
    "port": "PGPORT",
    "service": "PGSERVICE",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "user": "PGUSER",
}


def back_up(*, file: Path) -> int:
    """Write a backup to a new file of mode 0600, atomically. Returns its size in bytes.

    A PostgreSQL backup is in pg_dump's custom format, a SQLite one is a database file. Its own event is
    recorded first, so the backup contains it. Raises BackupError.
    """
    connection = connections[router.db_for_read(AuditEvent)]
    if file.exists():
        raise BackupError("The file is there already.")
    try:
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    except OSError as error:
        raise BackupError(f"The file cannot be written ({error.strerror}).") from None
    os.close(descriptor)
    draft = Path(name)
    try:
        with transaction.atomic(using=connection.alias):
            resource = Resource("database")
            record("backup.create", SUCCESS, actor=OPERATOR, resource=resource)
        if connection.vendor == "postgresql":
            _dump(connection, draft)
        else:
            _copy(connection, draft)
        _flush(draft)
        draft.replace(file)
        _flush(file.parent)
        return file.stat().st_size
    except OSError as error:
        raise BackupError(f"The file cannot be written ({error.strerror}).") from None
    finally:
        draft.unlink(missing_ok=True)


def _dump(connection: BaseDatabaseWrapper, draft: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    parameters: dict[str, Any] = connection.get_connection_params()
    for name, variable in _LIBPQ.items():
        if parameters.get(name) not in (None, ""):
            environment[variable] = str(parameters[name])
    command = ["pg_dump", "--format=custom", "--no-owner", "--no-password", f"--file={draft}"]
    try:
        done = subprocess.run(command, env=environment, check=False)  # noqa: S603
    except FileNotFoundError:
        raise BackupError(
            "pg_dump is not there. Install PostgreSQL's client programs, of the server's version or"
            " newer, and have them in PATH."
        ) from None
    if done.returncode:
        raise BackupError("pg_dump failed; it says why above.")


def _copy(connection: BaseDatabaseWrapper, draft: Path) -> None:
    """Copy with SQLite's online backup, in one step; in WAL mode writers go on meanwhile."""
    source = f"file:{connection.settings_dict['NAME']}?mode=ro"
    try:
        with (
            closing(sqlite3.connect(source, uri=True)) as there,
            closing(sqlite3.connect(draft)) as here,
        ):
            there.backup(here)
            (verdict,) = here.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.Error as error:
        raise BackupError(f"SQLite could not do it ({error.sqlite_errorname}).") from None
    if verdict != "ok":
        raise BackupError("The copy is not sound: the database itself may be damaged.")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

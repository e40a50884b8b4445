"""Create the folder of an embedded installation (`VAULTSITE_HOME`, by default `var/`), and keep it.

    vaultsite.env   settings for plain HTTP on this machine, with Django's secret key
    root.key        the root key: without it no stored secret opens
    jwt.pem         the key that signs tokens
    db.sqlite3      the database, unless DATABASE_URL names another
    demo.json       the demo account
    metrics/        what the processes of a running server count, in a folder for each server

The folder is 0700 and every file 0600. A production installation has no such folder: it uses environment
variables instead (docs/operations.md).
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from secrets_app.crypto.signing import generate_signing_key_pem
from secrets_app.providers.local import generate_root_key_text

BASE_DIR = Path(__file__).resolve().parent.parent

_ENV = """\
# Made by `manage.py quickstart` for plain HTTP on this machine. Not for production.
SECRET_KEY={secret_key}
ALLOWED_HOSTS=127.0.0.1,localhost,[::1]
INSECURE_HTTP=on
LOG_FORMAT=line
"""


def path() -> Path:
    """Return the absolute path of the folder."""
    return Path(os.environ.get("VAULTSITE_HOME") or BASE_DIR / "var").absolute()


def create() -> None:
    """Create the folder and what is missing in it. Existing files are left alone.

    A lost root key is not replaced if there may be data, which a new key could not open. Exits with a
    message when the folder has other files in it.
    """
    home = path()
    os.umask(0o077)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    names = {entry.name for entry in home.iterdir() if not entry.name.startswith(".")}
    if names and not names & {"vaultsite.env", "root.key", "jwt.pem", "db.sqlite3"}:
        raise SystemExit(f"{home} holds other files. Set VAULTSITE_HOME to a folder of its own.")
    home.chmod(0o700)
    with locked():
        if not any((home / name).exists() for name in ("vaultsite.env", "db.sqlite3")):
            write_private(home / "root.key", generate_root_key_text().encode())
        write_private(home / "jwt.pem", generate_signing_key_pem())
        env = _ENV.format(secret_key=secrets.token_urlsafe(50))
        write_private(home / "vaultsite.env", env.encode())


def metrics_folder() -> Path:
    """Make an empty folder for what the processes of one server count, and return its path.

    It is named after this process, which becomes the server. Those of servers that have ended go.
    """
    every = path() / "metrics"
    every.mkdir(mode=0o700, exist_ok=True)
    own = every / str(os.getpid())
    with locked():
        for folder in every.iterdir():
            if folder == own or not _is_running(folder.name):
                shutil.rmtree(folder)
        own.mkdir(mode=0o700)
    return own


def _is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:  # of somebody else
        pass
    return True


@contextmanager
def locked() -> Iterator[None]:
    """Make other quickstarts in the same folder wait."""
    with (path() / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_private(file: Path, content: bytes, *, replace: bool = False) -> None:
    """Write a file that only its owner can read, atomically. Keeps an existing one by default."""
    if file.exists() and not replace:
        return
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)

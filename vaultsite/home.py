"""The folder of an embedded installation (`VAULTSITE_HOME`, by default `var/`): made once, kept.

    vaultsite.env   settings for plain HTTP on this machine, with Django's secret key
    root.key        the root key: without it no stored secret opens
    jwt.pem         the key that signs tokens
    db.sqlite3      the database, unless DATABASE_URL names another
    demo.json       the demo account

The folder is 0700 and every file 0600. A production installation has no such folder: it sets the
environment instead (docs/operations.md).
"""

import os
import secrets
from pathlib import Path

from secrets_app.crypto.signing import generate_signing_key_pem
from secrets_app.providers.local import generate_root_key_text

BASE_DIR = Path(__file__).resolve().parent.parent

_ENV = """\
# Made by `manage.py quickstart` for plain HTTP on this machine. Not for production.
SECRET_KEY={secret_key}
ALLOWED_HOSTS=127.0.0.1,localhost,[::1]
INSECURE_HTTP=on
"""


def path() -> Path:
    """The absolute path of the folder."""
    return Path(os.environ.get("VAULTSITE_HOME") or BASE_DIR / "var").absolute()


def create() -> None:
    """Make the folder and what is missing in it. Existing files are left as they are.

    A lost root key is not replaced where a database is: a new key could not open what is stored.
    """
    home = path()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    os.umask(0o077)
    is_new = not any(
        (home / name).exists() for name in ("vaultsite.env", "db.sqlite3", "demo.json")
    )
    if is_new:
        write_private(home / "root.key", generate_root_key_text().encode())
    write_private(home / "jwt.pem", generate_signing_key_pem())
    write_private(
        home / "vaultsite.env", _ENV.format(secret_key=secrets.token_urlsafe(50)).encode()
    )


def write_private(file: Path, content: bytes, *, replace: bool = False) -> None:
    """Write a file only its owner reads, whole or not at all. Keeps an existing one by default."""
    if file.exists() and not replace:
        return
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)

"""Read root keys from a file (`file:/path`) or an environment variable (`env:NAME`).

Both hold the same text: one key a line, 32 random bytes in base64. The first wraps, all unwrap.
Empty lines and lines that begin with `#` are skipped. A key's id is derived from the key itself, so
a key keeps its id when it moves from a file to a variable.
"""

import base64
import binascii
import hashlib
import os
import re
import stat
from pathlib import Path

from secrets_app.crypto.aead import KEY_BYTES, Cipher
from secrets_app.errors import ConfigurationError, OpenError

_MAX_FILE_BYTES = 64 * 1024


class LocalProvider:
    """AES-256-GCM with keys that live in this process. Binds the context as AAD."""

    binds_context = True

    def __init__(self, keys: list[bytes]) -> None:
        self._ciphers = {local_key_id(key): Cipher(key) for key in keys}
        self.active_key_id = local_key_id(keys[0])
        self.key_ids = frozenset(self._ciphers)

    def wrap(self, key: bytes, context: bytes) -> bytes:
        return self._ciphers[self.active_key_id].encrypt(key, context)

    def unwrap(self, key_id: str, blob: bytes, context: bytes) -> bytes:
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise OpenError
        return cipher.decrypt(blob, context)

    def check_health(self) -> None:
        """Return: a key in memory always works."""


def from_url(url: str, *, timeout_s: float) -> LocalProvider:  # noqa: ARG001  (nothing to wait for)
    """Make the provider of a URL. Raises ConfigurationError, which says what to do and shows no content."""
    kind, _, name = url.partition(":")
    return from_file(name) if kind == "file" else from_environment(name)


def from_file(path: str) -> LocalProvider:
    """Read the key file. Raises ConfigurationError, which says what to do and shows no content."""
    file = Path(path)
    if not file.is_absolute():
        raise ConfigurationError("ROOT_KEY_URLS must name a root key file by an absolute path.")
    try:
        with file.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            raw = stream.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"The root key file {path} cannot be read ({error.strerror}). Restore it from your backup,"
            " or run `manage.py quickstart` for a new installation. Without it no stored secret opens."
        ) from None
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigurationError(
            f"The root key file {path} is open to other users. Run: chmod 600 {path}"
        )
    return LocalProvider(_parse_keys(raw, f"The root key file {path}"))


def create_key(url: str) -> str:
    """Add a new key to a key file, which is created if there is none. Returns the key's id.

    In a file with keys it becomes the last one, which only unwraps until its line is moved to the top.
    Raises ConfigurationError when the file is not what it should be.
    """
    file = Path(url.removeprefix("file:"))
    if not file.is_absolute():
        raise ConfigurationError("A root key file is named by an absolute path.")
    text = generate_root_key_text()
    flags = os.O_WRONLY | os.O_APPEND
    if file.exists():
        from_file(str(file))
        text = text if file.read_bytes().endswith(b"\n") else "\n" + text
    else:
        flags |= os.O_CREAT | os.O_EXCL
    try:
        with os.fdopen(os.open(file, flags, 0o600), "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written ({error.strerror}).") from None
    return local_key_id(base64.b64decode(text))


def from_environment(name: str) -> LocalProvider:
    """Read the variable. Raises ConfigurationError, which says what to do and shows no content."""
    if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) is None:
        raise ConfigurationError("ROOT_KEY_URLS has an env: entry that is not a variable's name.")
    raw = os.environ.get(name)
    if raw is None:
        raise ConfigurationError(
            f"The environment variable {name}, named in ROOT_KEY_URLS, is not set. It holds a root key:"
            " 32 random bytes in base64."
        )
    return LocalProvider(_parse_keys(raw.encode(), f"The environment variable {name}"))


def generate_root_key_text() -> str:
    """Return a new key as one line of base64, as file and variable contain it."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode() + "\n"


def local_key_id(key: bytes) -> str:
    """Derive a key's id, which tells keys apart and reveals nothing about them."""
    return "local:" + hashlib.sha256(b"vaultsite/v1/root-key-id" + key).hexdigest()[:16]


def _parse_keys(raw: bytes, source: str) -> list[bytes]:
    keys = []
    for number, line in enumerate(raw[:_MAX_FILE_BYTES].splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith(b"#"):
            continue
        try:
            key = base64.b64decode(text, validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY_BYTES:
            raise ConfigurationError(
                f"{source} is malformed in line {number}: a key is 32 bytes in base64"
                " (for example from `openssl rand -base64 32`)."
            )
        keys.append(key)
    if not keys:
        raise ConfigurationError(f"{source} holds no key: it needs 32 random bytes in base64.")
    return keys

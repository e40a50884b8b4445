"""Rotate the key that signs tokens, in JWT_KEY_FILE. Nobody is signed out.

The file is replaced atomically, and every process reads it again at its next request. The old key stays
as a public key, with a remark of when it was retired, until the last token it signed has expired. Its
private half is gone at once.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from secrets_app.conf import app_settings
from secrets_app.crypto.signing import generate_signing_key_pem, public_key_of
from secrets_app.errors import ConfigurationError
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Actor
from secrets_app.services.identity.signing_keys import MAX_FILE_BYTES, KeySet, load_keys, pem_blocks

# The longest life of a token (the limit of USER_TOKEN_TTL and of an agent's), with some leeway.
TOKENS_LIVE_AT_MOST = timedelta(days=1, minutes=5)

_RETIRED = re.compile(rb"^# retired (\S+)\s*\Z")


@dataclass(frozen=True, slots=True)
class RotatedSigningKey:
    """What the file contains after a rotation.

    `kid`: the key that signs. `staged`: the one that signs after the next rotation. `kept`: how many
    keys only verify. `dropped`: how many were removed, since their last tokens have expired.
    """

    kid: str
    staged: str | None
    kept: int
    dropped: int


def rotate_signing_key(
    *, stage: bool = False, dry_run: bool = False, actor: Actor
) -> RotatedSigningKey:
    """Let the staged key, or a new one if none is staged, sign from now on.

    With `stage`, a new key is only published and does not sign yet: for services that keep a copy of the
    public keys, and for files that are carried to several hosts. With `dry_run`, nothing is changed.
    Raises ConfigurationError when the file is malformed or cannot be replaced.
    """
    file = Path(app_settings.JWT_KEY_FILE).resolve()
    with _locked(file):
        before = _read(file)
        load_keys(str(file), app_settings.JWT_ISSUER)
        parts, dropped = _without_expired(_parts(before))
        parts = _staged(parts) if stage else _rotated(parts)
        blocks = [block for _, block in parts]
        done = RotatedSigningKey(
            kid=_kid(blocks[0]),
            staged=_kid(blocks[1]) if len(blocks) > 1 and _is_private(blocks[1]) else None,
            kept=sum(not _is_private(block) for block in blocks),
            dropped=dropped,
        )
        if dry_run:
            return done
        content = b"".join(remark + block + b"\n" for remark, block in parts)
        replaced = False
        try:
            with transaction.atomic():
                record(
                    "key.stage_signing" if stage else "key.rotate_signing",
                    SUCCESS,
                    actor=actor,
                    resource=Resource("signing_key"),
                    details={"kid": (done.staged if stage else done.kid) or done.kid},
                )
                _replace(file, content)
                replaced = True
        except BaseException:
            if replaced:  # no event, no rotation
                _replace(file, before)
            raise
        return done


def _rotated(parts: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    (_, old), *rest = parts
    if rest and _is_private(rest[0][1]):
        new, rest = rest[0][1], rest[1:]
    else:
        new = generate_signing_key_pem().strip()
    remark = f"# retired {timezone.now().isoformat(timespec='seconds')}\n".encode()
    return [(b"", new), (remark, public_key_of(old).strip()), *rest]


def _staged(parts: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    if len(parts) > 1 and _is_private(parts[1][1]):
        raise ConfigurationError("A key is staged already. Rotate to let it sign.")
    return [parts[0], (b"", generate_signing_key_pem().strip()), *parts[1:]]


def _without_expired(
    parts: list[tuple[bytes, bytes]],
) -> tuple[list[tuple[bytes, bytes]], int]:
    end = timezone.now() - TOKENS_LIVE_AT_MOST
    kept = [parts[0]]
    for remark, block in parts[1:]:
        retired = _retired_at(remark)
        if _is_private(block) or retired is None or retired > end:
            kept.append((remark, block))
    return kept, len(parts) - len(kept)


def _parts(raw: bytes) -> list[tuple[bytes, bytes]]:
    """Return each key with the remark of its retirement, empty if it has none."""
    parts, position = [], 0
    for block in pem_blocks(raw):
        start = raw.index(block, position)
        between = raw[position:start].splitlines()
        remark = between[-1] + b"\n" if between and _RETIRED.match(between[-1]) else b""
        parts.append((remark, block))
        position = start + len(block)
    return parts


def _retired_at(remark: bytes) -> datetime | None:
    match = _RETIRED.match(remark.strip())
    try:
        found = datetime.fromisoformat(match[1].decode()) if match else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def _kid(block: bytes) -> str:
    (jwk,) = KeySet([block], issuer="").jwks()["keys"]
    return str(jwk["kid"])


def _is_private(block: bytes) -> bool:
    return b"BEGIN PRIVATE KEY" in block


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(MAX_FILE_BYTES)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read ({error.strerror}).") from None


def _replace(file: Path, content: bytes) -> None:
    """Replace a file atomically, with its owner and mode 0600."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        owner = file.stat()
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            if os.geteuid() == 0:
                os.fchown(stream.fileno(), owner.st_uid, owner.st_gid)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ConfigurationError(f"{file} cannot be replaced ({error.strerror}).") from None


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Make other rotations of the same file wait, so that none loses another one's keys."""
    try:
        descriptor = os.open(file.parent, os.O_RDONLY)
    except OSError as error:
        raise ConfigurationError(f"{file.parent} cannot be read ({error.strerror}).") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

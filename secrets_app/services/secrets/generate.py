"""Rotate a secret on the server: the new value is generated here and leaves only by a read."""

import math
import secrets
import string
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from secrets_app.crypto.plaintext import Plaintext
from secrets_app.errors import Forbidden, NotFound
from secrets_app.models import SecretVersion
from secrets_app.policy.decision import Permission
from secrets_app.services.access.authorization import may
from secrets_app.services.audit import record_all
from secrets_app.services.caller import Caller
from secrets_app.services.sealing.vault_keys import active_vault_key
from secrets_app.services.secrets.lookup import (
    NO_SECRET,
    check_available,
    find_version,
    lock_secret,
)
from secrets_app.services.secrets.write import NewVersion, add_version, write_event
from secrets_app.services.transactions.audited import audited_transaction
from secrets_app.services.transactions.idempotency import IdempotencyClaim
from secrets_app.services.transactions.retry import retried

# Each character is chosen uniformly with the operating system's random source.
CHARSETS = {
    "hex": "0123456789abcdef",
    "base64": string.ascii_letters + string.digits + "+/",
    "alphanumeric": string.ascii_letters + string.digits,
    "ascii": "".join(chr(code) for code in range(0x21, 0x7F)),
}
MIN_LENGTH, MAX_LENGTH, DEFAULT_LENGTH = 8, 1024, 32
# What a value needs that its writer did not choose: the strength of a 128-bit key.
MIN_BITS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to generate a value. `length` is in characters; `type` None keeps the secret's type."""

    length: int = DEFAULT_LENGTH
    charset: str = "hex"
    type: str | None = None


@retried
def rotate_secret(
    *,
    caller: Caller,
    vault_id: UUID,
    path: str,
    recipe: Recipe,
    once: IdempotencyClaim | None = None,
) -> SecretVersion:
    """Store a random value as the next version. The caller is authorised already.

    Metadata and rotation policy stay. For callers who may write, the type stays unless the recipe names
    another, and expiry and access count are unset. Callers who may only rotate keep all three (ADR 14).
    Raises NotFound for a path without an undeleted secret, Forbidden for a recipe that needs write,
    Unavailable when a caller who may only rotate finds a version that cannot be read any more,
    StillRunning, OpenError, ProviderError.
    """
    vault_key = active_vault_key(vault_id=vault_id)
    with audited_transaction("secret.rotate", caller=caller, vault_id=vault_id, path=path):
        secret = lock_secret(vault_id=vault_id, path=path)
        if secret.deleted_at is not None:
            raise NotFound(NO_SECRET)
        current = find_version(vault_id=vault_id, path=path, number=None)
        expires_at, max_access_count = None, None
        if not may(caller=caller, vault_id=vault_id, path=path, permission=Permission.WRITE):
            _check_recipe(recipe, current)
            expires_at, max_access_count = _bounds_of(current, now=timezone.now())
        new = NewVersion(
            type=recipe.type or current.type,
            value=Plaintext(generate_value(recipe.length, recipe.charset).encode()),
            metadata=current.metadata,
            expires_at=expires_at,
            rotation_policy=current.rotation_policy,
            max_access_count=max_access_count,
        )
        version = add_version(secret, new, vault_key=vault_key, created_by_id=caller.id)
        record_all([write_event(version, "secret.rotate")], actor=caller.actor)
        if once is not None:
            once.complete(version)
    return version


def _check_recipe(recipe: Recipe, current: SecretVersion) -> None:
    """Check that a recipe asks only for a new value of the same kind. Raises Forbidden."""
    if recipe.type not in (None, current.type):
        raise Forbidden("Choosing another type needs write.")
    shortest = shortest_length(recipe.charset)
    if recipe.length < shortest:
        raise Forbidden(f"Fewer than {shortest} characters of this charset need write.")


def _bounds_of(current: SecretVersion, *, now: datetime) -> tuple[datetime | None, int | None]:
    """Return expiry and accesses left of a version that can be read. Raises Unavailable."""
    check_available(current, now=now)
    if current.max_access_count is None:
        return current.expires_at, None
    return current.expires_at, current.max_access_count - current.access_count


def shortest_length(charset: str) -> int:
    """Return how many characters of a charset have `MIN_BITS` bits of entropy."""
    return math.ceil(MIN_BITS / math.log2(len(CHARSETS[charset])))


def generate_value(length: int, charset: str) -> str:
    """Return `length` characters of a charset, each equally likely."""
    alphabet = CHARSETS[charset]
    return "".join(secrets.choice(alphabet) for _ in range(length))

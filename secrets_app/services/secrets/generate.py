"""Rotate a secret on the server: the new value is generated here and leaves only by a read."""

import secrets
import string
from dataclasses import dataclass
from uuid import UUID

from secrets_app.crypto.plaintext import Plaintext
from secrets_app.errors import NotFound
from secrets_app.models import SecretVersion
from secrets_app.services.audit import record_all
from secrets_app.services.caller import Caller
from secrets_app.services.sealing.vault_keys import active_vault_key
from secrets_app.services.secrets.lookup import NO_SECRET, find_version, lock_secret
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

    Type, metadata and rotation policy stay. Expiry and access count do not: they belonged to the old
    value. Raises NotFound for a path without an undeleted secret, StillRunning, OpenError,
    ProviderError.
    """
    vault_key = active_vault_key(vault_id=vault_id)
    with audited_transaction("secret.rotate", caller=caller, vault_id=vault_id, path=path):
        secret = lock_secret(vault_id=vault_id, path=path)
        if secret.deleted_at is not None:
            raise NotFound(NO_SECRET)
        current = find_version(vault_id=vault_id, path=path, number=None)
        new = NewVersion(
            type=recipe.type or current.type,
            value=Plaintext(generate_value(recipe.length, recipe.charset).encode()),
            metadata=current.metadata,
            rotation_policy=current.rotation_policy,
        )
        version = add_version(secret, new, vault_key=vault_key, created_by_id=caller.id)
        record_all([write_event(version, "secret.rotate")], actor=caller.actor)
        if once is not None:
            once.complete(version)
    return version


def generate_value(length: int, charset: str) -> str:
    """Return `length` characters of a charset, each equally likely."""
    alphabet = CHARSETS[charset]
    return "".join(secrets.choice(alphabet) for _ in range(length))

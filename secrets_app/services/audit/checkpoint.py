"""Make and read checkpoints: a seal in a form that can be kept outside the database.

A log that lacks the seal of a checkpoint, or has another one in its place, was cut off or rewritten.
"""

import json
from dataclasses import dataclass
from typing import Any

from secrets_app.errors import SecretsAppError
from secrets_app.models import AuditKey, AuditSeal
from secrets_app.services.audit.content import SCHEME, content_of_seal


class CheckpointError(SecretsAppError):
    """The text is no checkpoint."""

    detail = "This is not a checkpoint of an audit log."


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A seal's signed content, its signature, and the public key that checks it."""

    seal: dict[str, Any]
    signature: bytes
    public_key: bytes

    def to_dict(self) -> dict[str, Any]:
        """Return what files and answers contain; bytes are in hexadecimal."""
        return {
            "seal": self.seal,
            "signature": self.signature.hex(),
            "public_key": self.public_key.hex(),
        }


def checkpoint_of(seal: AuditSeal) -> Checkpoint:
    """Return the checkpoint of a seal."""
    key = AuditKey.objects.get(number=seal.key_number)
    return Checkpoint(content_of_seal(seal), bytes(seal.signature), bytes(key.public_key))


def latest_checkpoint() -> Checkpoint | None:
    """Return the checkpoint of the newest seal, or None when nothing is sealed yet."""
    seal = AuditSeal.objects.order_by("-number").first()
    return None if seal is None else checkpoint_of(seal)


def read_checkpoint(text: str) -> Checkpoint:
    """Read a checkpoint from the JSON of `Checkpoint.to_dict`. Raises CheckpointError."""
    try:
        raw = json.loads(text)
        seal = raw["seal"]
        checkpoint = Checkpoint(
            seal, bytes.fromhex(raw["signature"]), bytes.fromhex(raw["public_key"])
        )
        is_ours = seal["scheme"] == SCHEME and type(seal["number"]) is int and seal["number"] >= 1
    except (ValueError, TypeError, KeyError):
        raise CheckpointError from None
    if not is_ours:
        raise CheckpointError
    return checkpoint

"""Checkpoints: a seal in a form that can be kept elsewhere. A log that lacks it, or has another in its
place, was cut off or rewritten."""

import json
from dataclasses import dataclass
from typing import Any

from secrets_app.errors import SecretsAppError
from secrets_app.models import AuditKey, AuditSeal
from secrets_app.services.audit.content import SCHEME, content_of_seal


class CheckpointError(SecretsAppError):
    detail = "This is not a checkpoint of an audit log."


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`seal` is the content that was signed."""

    seal: dict[str, Any]
    signature: bytes
    public_key: bytes

    def shown(self) -> dict[str, Any]:
        """As it is written to files and answers; bytes in hexadecimal."""
        return {
            "seal": self.seal,
            "signature": self.signature.hex(),
            "public_key": self.public_key.hex(),
        }


def checkpoint_of(seal: AuditSeal) -> Checkpoint:
    key = AuditKey.objects.get(number=seal.key_number)
    return Checkpoint(content_of_seal(seal), bytes(seal.signature), bytes(key.public_key))


def latest_checkpoint() -> Checkpoint | None:
    """Of the newest seal, None when nothing was sealed yet."""
    seal = AuditSeal.objects.order_by("-number").first()
    return None if seal is None else checkpoint_of(seal)


def read_checkpoint(text: str) -> Checkpoint:
    """What `shown` made, from a file. Raises CheckpointError."""
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

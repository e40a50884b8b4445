"""Idempotency-Key: a repeated request gets the first answer again and does nothing.

A key is claimed before the act and completed in the act's own transaction, so that a client whose
connection broke after the commit finds the answer, and one whose request was never carried out
finds the key free. Only success is kept: what failed has changed nothing and may be tried again.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from secrets_app.errors import CryptoError, KeyReused, StillRunning
from secrets_app.models import IdempotencyKey, VaultKey
from secrets_app.services.sealing.vault_keys import active_vault_key, open_digest, seal_digest

KEPT_FOR = timedelta(hours=24)
# After this long an unfinished request is taken for dead, and a repeat carries it out.
CLAIM_LASTS = timedelta(seconds=60)

_LABEL = b"idempotency"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer without any value in it: status, JSON body (None where empty), headers."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IdempotencyClaim:
    """The right to carry a request out. `present` makes the answer of what the act returned."""

    record_id: UUID
    claim: UUID
    present: Callable[[Any], Answer]

    def complete(self, result: Any) -> None:
        """Keep the answer; to be called within the act's transaction.

        Raises StillRunning when another request has taken over, which undoes this act.
        """
        answer = self.present(result)
        completed = IdempotencyKey.objects.filter(
            pk=self.record_id, claim=self.claim, status__isnull=True
        ).update(status=answer.status, body=answer.body, headers=answer.headers)
        if not completed:
            raise StillRunning

    def release(self) -> None:
        """Free the key after the act failed."""
        IdempotencyKey.objects.filter(
            pk=self.record_id, claim=self.claim, status__isnull=True
        ).delete()


def claim_key(
    *,
    principal_id: UUID,
    key: str,
    request: bytes,
    vault_id: UUID | None,
    present: Callable[[Any], Answer],
) -> IdempotencyClaim | Answer:
    """Claim a key for a request, or get the first answer. The caller is authorised already.

    `request` is everything that makes the request what it is. With `vault_id` its digest is kept
    sealed under the vault's key. Raises KeyReused, StillRunning, OpenError, ProviderError.
    """
    digest = hashlib.sha256(request).digest()
    key_digest = hashlib.sha256(key.encode()).hexdigest()
    vault_key = None if vault_id is None else active_vault_key(vault_id=vault_id)
    now = timezone.now()
    fresh = IdempotencyKey(
        principal_id=principal_id,
        key_digest=key_digest,
        request_digest=digest if vault_key is None else seal_digest(vault_key, digest, _LABEL),
        vault_key=vault_key,
        claimed_at=now,
        created_at=now,
    )
    IdempotencyKey.objects.filter(
        principal_id=principal_id, created_at__lte=now - KEPT_FOR
    ).exclude(key_digest=key_digest).delete()
    try:
        with transaction.atomic():
            fresh.save(force_insert=True)
        return IdempotencyClaim(fresh.id, fresh.claim, present)
    except IntegrityError:
        pass
    known = (
        IdempotencyKey.objects.select_related("vault_key")
        .filter(principal_id=principal_id, key_digest=key_digest)
        .first()
    )
    if known is None:  # it was freed a moment ago
        raise StillRunning
    if known.created_at <= now - KEPT_FOR:
        return _take_over(known, fresh, present)
    if not _is_same(known, digest):
        raise KeyReused
    if known.status is not None:
        return Answer(known.status, known.body, known.headers)
    if known.claimed_at <= now - CLAIM_LASTS:
        return _take_over(known, fresh, present)
    raise StillRunning


def forget_answers_about(*, vault_id: UUID, secret_id: UUID | None = None) -> None:
    """Forget what was answered about a secret that is destroyed, or about all of a vault."""
    answers = IdempotencyKey.objects.filter(vault_key__vault_id=vault_id)
    if secret_id is not None:
        answers = answers.filter(body__contains=str(secret_id))
    answers.delete()


def count_old_keys() -> int:
    """How many keys are not kept any more."""
    return _old_keys().count()


def forget_old_keys() -> int:
    """Delete what is not kept any more; returns how many."""
    deleted, _ = _old_keys().delete()
    return deleted


def _old_keys() -> QuerySet[IdempotencyKey]:
    return IdempotencyKey.objects.filter(created_at__lte=timezone.now() - KEPT_FOR)


def _is_same(known: IdempotencyKey, digest: bytes) -> bool:
    stored = bytes(known.request_digest)
    if known.vault_key is not None:
        if known.vault_key.state == VaultKey.State.DESTROYED:
            return False
        try:
            stored = open_digest(known.vault_key, stored, _LABEL)
        except CryptoError:
            return False
    return hmac.compare_digest(stored, digest)


def _take_over(
    known: IdempotencyKey, fresh: IdempotencyKey, present: Callable[[Any], Answer]
) -> IdempotencyClaim:
    claim = uuid4()
    taken = IdempotencyKey.objects.filter(
        pk=known.pk, claim=known.claim, status=known.status
    ).update(
        claim=claim,
        claimed_at=fresh.claimed_at,
        created_at=fresh.created_at,
        request_digest=fresh.request_digest,
        vault_key=fresh.vault_key,
        status=None,
        body=None,
        headers={},
    )
    if not taken:
        raise StillRunning
    return IdempotencyClaim(known.pk, claim, present)

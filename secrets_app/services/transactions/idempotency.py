"""Give a repeated request with the same Idempotency-Key its first answer again, and do nothing else.

A key is claimed before the use case and completed in the use case's transaction. So a client that lost
its connection after the commit finds the answer, and one whose request was never carried out finds the
key free. Only successes are kept: a failure changes nothing, so it may be tried again.
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
# An unfinished request of this age is taken for dead, and a repeat takes it over.
CLAIM_LASTS = timedelta(seconds=60)

_LABEL = b"idempotency"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to keep: status, JSON body (None if empty) and headers. It contains no secret value."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IdempotencyClaim:
    """The right to carry a request out. `present` turns the use case's result into an answer."""

    record_id: UUID
    claim: UUID
    present: Callable[[Any], Answer]

    def complete(self, result: Any) -> None:
        """Keep the answer. To be called within the use case's transaction.

        Raises StillRunning when another request has taken over; that rolls the transaction back.
        """
        answer = self.present(result)
        completed = IdempotencyKey.objects.filter(
            pk=self.record_id, claim=self.claim, status__isnull=True
        ).update(status=answer.status, body=answer.body, headers=answer.headers)
        if not completed:
            raise StillRunning

    def release(self) -> None:
        """Free the key after a failure."""
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
    """Claim a key for a request, or return the first answer. The caller is authorised already.

    `request` is everything that identifies the request. With `vault_id`, its digest is kept sealed under
    the vault's key. Raises KeyReused, StillRunning, OpenError, ProviderError.
    """
    digest = hashlib.sha256(request).digest()
    key_digest = hashlib.sha256(key.encode()).hexdigest()
    vault_key = None if vault_id is None else active_vault_key(vault_id=vault_id)
    now = timezone.now()
    new = IdempotencyKey(
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
            new.save(force_insert=True)
        return IdempotencyClaim(new.id, new.claim, present)
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
        return _take_over(known, new, present)
    if not _is_same(known, digest):
        raise KeyReused
    if known.status is not None:
        return Answer(known.status, known.body, known.headers)
    if known.claimed_at <= now - CLAIM_LASTS:
        return _take_over(known, new, present)
    raise StillRunning


def forget_answers_about(*, vault_id: UUID, secret_id: UUID | None = None) -> None:
    """Delete the answers about a destroyed secret, or about all of a vault."""
    answers = IdempotencyKey.objects.filter(vault_key__vault_id=vault_id)
    if secret_id is not None:
        answers = answers.filter(body__contains=str(secret_id))
    answers.delete()


def count_old_keys() -> int:
    """Count the keys that are past their time."""
    return _old_keys().count()


def forget_old_keys() -> int:
    """Delete the keys that are past their time. Returns how many."""
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
    known: IdempotencyKey, new: IdempotencyKey, present: Callable[[Any], Answer]
) -> IdempotencyClaim:
    claim = uuid4()
    taken = IdempotencyKey.objects.filter(
        pk=known.pk, claim=known.claim, status=known.status
    ).update(
        claim=claim,
        claimed_at=new.claimed_at,
        created_at=new.created_at,
        request_digest=new.request_digest,
        vault_key=new.vault_key,
        status=None,
        body=None,
        headers={},
    )
    if not taken:
        raise StillRunning
    return IdempotencyClaim(known.pk, claim, present)

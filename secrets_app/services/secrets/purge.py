"""Destroying for good what was deleted and is past its retention window. Safe to stop and repeat."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from secrets_app.conf import app_settings
from secrets_app.models import (
    Policy,
    RevokedToken,
    Secret,
    SecretVersion,
    SignInSession,
    Vault,
    VaultKey,
)
from secrets_app.models.vault import is_destroyed
from secrets_app.services.audit import OPERATOR, SUCCESS, Event, Resource, record, record_all
from secrets_app.services.identity.assertion_sign_in import count_past_uses, forget_past_uses
from secrets_app.services.identity.devices import old_devices
from secrets_app.services.transactions.idempotency import (
    count_old_keys,
    forget_answers_about,
    forget_old_keys,
)

_BATCH = 200


@dataclass(slots=True)
class Purged:
    """How many of each were destroyed, or would be."""

    vaults: int = 0
    secrets: int = 0
    idempotency_keys: int = 0
    revoked_tokens: int = 0
    sign_in_sessions: int = 0
    device_requests: int = 0
    past_sign_ins: int = 0


def count_purgeable(*, now: datetime) -> Purged:
    """Count what a purge would destroy. Secrets of purgeable vaults are counted along."""
    end = _end_of_retention(now)
    return Purged(
        vaults=_doomed_vaults(end).count(),
        secrets=Secret.objects.filter(
            Q(deleted_at__lte=end) | Q(vault__deleted_at__lte=end)
        ).count(),
        idempotency_keys=count_old_keys(),
        revoked_tokens=_ended_tokens(now).count(),
        sign_in_sessions=_ended_sessions(now).count(),
        device_requests=old_devices(now=now).count(),
        past_sign_ins=count_past_uses(now=now),
    )


def purge_deleted(*, now: datetime, on_progress: Callable[[int], None]) -> Purged:
    """Destroy vaults and secrets that were deleted before the retention window.

    A vault's keys go first, with an event: from then on nothing of it opens, whatever rows are
    left. Works in small transactions; `on_progress` is told how many secrets went with each.
    """
    end = _end_of_retention(now)
    purged = Purged()
    for vault_id in list(_doomed_vaults(end).values_list("pk", flat=True)):
        purged.vaults += _shred(vault_id, now)
    for vault_id in list(
        # Where keys are left, the mark is not this purge's.
        Vault.objects.filter(is_destroyed(), secrets__isnull=False)
        .values_list("pk", flat=True)
        .distinct()
    ):
        purged.secrets += _remove(Secret.objects.filter(vault_id=vault_id), on_progress)
    deleted = Secret.objects.filter(deleted_at__lte=end)
    purged.secrets += _remove(deleted, on_progress)
    purged.idempotency_keys = forget_old_keys()
    purged.revoked_tokens, _ = _ended_tokens(now).delete()
    purged.sign_in_sessions, _ = _ended_sessions(now).delete()
    purged.device_requests, _ = old_devices(now=now).delete()
    purged.past_sign_ins = forget_past_uses(now=now)
    return purged


def _end_of_retention(now: datetime) -> datetime:
    return now - timedelta(days=app_settings.DELETED_RETENTION_DAYS)


def _doomed_vaults(end: datetime) -> QuerySet[Vault]:
    return Vault.objects.filter(deleted_at__lte=end, destroyed_at__isnull=True)


def _ended_tokens(now: datetime) -> QuerySet[RevokedToken]:
    return RevokedToken.objects.filter(expires_at__lt=now - timedelta(days=1))


def _ended_sessions(now: datetime) -> QuerySet[SignInSession]:
    return SignInSession.objects.filter(expires_at__lt=now - timedelta(days=1))


def _shred(vault_id: UUID, now: datetime) -> int:
    with transaction.atomic():
        taken = Vault.objects.filter(pk=vault_id, destroyed_at__isnull=True).update(
            destroyed_at=now
        )
        if taken:
            VaultKey.objects.filter(vault_id=vault_id).update(
                state=VaultKey.State.DESTROYED, wrapped=b""
            )
            Policy.objects.filter(vault_id=vault_id).delete()
            forget_answers_about(vault_id=vault_id)
            resource = Resource("vault", vault_id, vault_id)
            record("vault.destroy", SUCCESS, actor=OPERATOR, resource=resource)
    return taken


def _remove(doomed: QuerySet[Secret], on_progress: Callable[[int], None]) -> int:
    """Delete secrets and their versions, a batch in each transaction, with an event for each."""
    removed = 0
    while True:
        with transaction.atomic():
            # One that somebody is reviving right now is locked; it is left to its writer.
            batch = list(doomed.select_for_update(skip_locked=True).order_by("pk")[:_BATCH])
            SecretVersion.objects.filter(secret__in=batch).delete()
            Secret.objects.filter(pk__in=[secret.pk for secret in batch]).delete()
            record_all(
                (
                    Event(
                        "secret.purge",
                        SUCCESS,
                        Resource("secret", secret.id, secret.vault_id),
                        {"path": secret.path, "reason": "retention"},
                    )
                    for secret in batch
                ),
                actor=OPERATOR,
            )
        if not batch:
            return removed
        removed += len(batch)
        on_progress(len(batch))

"""Seal events: the unsealed ones become leaves of a Merkle tree (RFC 6962), whose root joins a signed
chain.

Requests never wait for it, and any number of processes may seal at once.
"""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from secrets_app.crypto.merkle import leaf_hash, root_of
from secrets_app.models import AuditEvent, AuditKey, AuditSeal
from secrets_app.services.audit.content import (
    NOTHING_BEFORE,
    content_of,
    content_of_seal,
    encode,
    seal_hash,
)
from secrets_app.services.sealing.audit_keys import current_audit_key
from secrets_app.sql.damaged_rows import read_each

# So few that no request on SQLite waits long for the writer's lock.
EVENTS_IN_A_SEAL = 1000


class _Overtaken(Exception):
    """Another sealer took some of the events first, so nothing was stored."""


def seal_events() -> list[AuditSeal]:
    """Seal all unsealed events, oldest first. Returns the new seals.

    Each seal has a transaction of its own, so a stopped run loses nothing. An event that was edited so
    that it cannot be read stays unsealed, and `seal_lag` reports it. Raises OpenError, ProviderError.
    """
    seals = []
    while leaves := read_each(unsealed().order_by("id"), _leaf, most=EVENTS_IN_A_SEAL)[0]:
        try:
            seals.append(_seal(leaves))
        except _Overtaken:
            continue
        if len(leaves) < EVENTS_IN_A_SEAL:
            break  # later events are for the next run, or this one might never end
    return seals


def _leaf(event: AuditEvent) -> bytes:
    return leaf_hash(encode(content_of(event)))


def unsealed() -> QuerySet[AuditEvent]:
    """Return the events that are in no seal."""
    return AuditEvent.objects.filter(seal_number__isnull=True)


def _seal(leaves: Sequence[tuple[AuditEvent, bytes]]) -> AuditSeal:
    """Seal events, given with their leaf hashes in the order of their ids. Raises _Overtaken."""
    key_number, key = current_audit_key()
    # Computed before the transaction, to keep that short.
    root = root_of([leaf for _, leaf in leaves])
    events = [event for event, _ in leaves]
    with transaction.atomic():
        # Sealers take turns; writers of events do not lock this row.
        AuditKey.objects.select_for_update(no_key=True).get(number=key_number)
        last = AuditSeal.objects.order_by("-number").first()
        seal = AuditSeal(
            number=last.number + 1 if last else 1,
            previous=seal_hash(last) if last else NOTHING_BEFORE,
            root=root,
            events=len(events),
            total=(last.total if last else 0) + len(events),
            first_at=min(event.created_at for event in events),
            last_at=max(event.created_at for event in events),
            sealed_at=timezone.now(),
            key_number=key_number,
        )
        seal.signature = key.sign(encode(content_of_seal(seal)))
        seal.save(force_insert=True)
        ids = [event.pk for event in events]
        if unsealed().filter(pk__in=ids).update(seal_number=seal.number) != len(events):
            raise _Overtaken
    return seal

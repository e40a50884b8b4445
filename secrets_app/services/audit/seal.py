"""Sealing: events that are not sealed yet become the leaves of a Merkle tree (RFC 6962), and its root a
signed link of the chain. Requests never wait for it; it may run in any number of processes at once."""

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

# Few, so that on SQLite no request waits long for the writer's lock.
EVENTS_IN_A_SEAL = 1000


class _Overtaken(Exception):
    """Another sealer has taken some of the events; nothing was stored."""


def seal_events() -> list[AuditSeal]:
    """Seal everything there is, oldest first. Returns the new seals.

    Each in a transaction of its own, so a run that is stopped loses nothing. What was edited so that it
    cannot be read is left, and the lag of sealing tells of it. Raises OpenError, ProviderError.
    """
    seals = []
    while leaves := read_each(unsealed().order_by("id"), _leaf, most=EVENTS_IN_A_SEAL)[0]:
        try:
            seals.append(_seal(leaves))
        except _Overtaken:
            continue
        if len(leaves) < EVENTS_IN_A_SEAL:
            break  # what came meanwhile is for the next run, or it might never end
    return seals


def _leaf(event: AuditEvent) -> bytes:
    return leaf_hash(encode(content_of(event)))


def unsealed() -> QuerySet[AuditEvent]:
    return AuditEvent.objects.filter(seal_number__isnull=True)


def _seal(leaves: Sequence[tuple[AuditEvent, bytes]]) -> AuditSeal:
    """Events with the hashes of their contents, in the order of their ids."""
    key_number, key = current_audit_key()
    # Before the transaction, which is to be short.
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

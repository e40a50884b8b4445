"""Prove that an event is in the log: the path from its leaf to a signed root (RFC 6962, 2.1.1)."""

from typing import Any
from uuid import UUID

from secrets_app.crypto.merkle import inclusion_proof, leaf_hash
from secrets_app.errors import Conflict
from secrets_app.models import AuditEvent, AuditSeal
from secrets_app.services.audit.checkpoint import checkpoint_of
from secrets_app.services.audit.content import SCHEME, content_of, encode
from secrets_app.services.audit.query import visible_event
from secrets_app.services.caller import Caller


def prove_event(*, caller: Caller, event_id: UUID) -> dict[str, Any]:
    """Return an event as it was sealed, with all that a check needs except trust in the public key.

    Raises NotFound for an event that the caller may not see, Conflict while it is not sealed.
    """
    event = visible_event(caller=caller, event_id=event_id)
    seal = AuditSeal.objects.filter(number=event.seal_number or 0).first()
    if seal is None:
        raise Conflict("The event is not sealed yet. Try again later.")
    sealed = list(AuditEvent.objects.filter(seal_number=seal.number).order_by("id"))
    leaves = [leaf_hash(encode(content_of(each))) for each in sealed]
    index = [each.id for each in sealed].index(event.id)
    return {
        "scheme": SCHEME,
        "event": content_of(event),
        "leaf_index": index,
        "tree_size": seal.events,
        "audit_path": [step.hex() for step in inclusion_proof(leaves, index)],
    } | checkpoint_of(seal).to_dict()

"""What is somebody else's is refused like what does not exist: by the same answer and the same event."""

from typing import NoReturn

from django.db import transaction

from secrets_app.errors import NotFound
from secrets_app.services.audit import DENIED, Resource, record
from secrets_app.services.caller import Actor


def refuse_as_unknown(action: str, *, actor: Actor, resource: Resource, detail: str) -> NoReturn:
    """Record the denial in a transaction of its own. Raises NotFound with `detail`."""
    with transaction.atomic():
        record(action, DENIED, actor=actor, resource=resource, details={"reason": "not_the_owner"})
    raise NotFound(detail)

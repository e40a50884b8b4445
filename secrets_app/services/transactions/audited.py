"""Record an event when a use case fails, and open its transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import transaction

from secrets_app.errors import Forbidden, SecretsAppError, Unavailable
from secrets_app.services.audit import DENIED, FAILURE, Resource, record
from secrets_app.services.caller import Caller


@contextmanager
def audited_transaction(
    action: str, *, caller: Caller, vault_id: UUID, path: str | None = None
) -> Iterator[None]:
    """Open a transaction. If one of our exceptions ends it, record the failure in a transaction of its
    own.
    """
    with audited(action, caller=caller, vault_id=vault_id, path=path), transaction.atomic():
        yield


@contextmanager
def audited(
    action: str, *, caller: Caller, vault_id: UUID, path: str | None = None
) -> Iterator[None]:
    """Record failures as `audited_transaction` does, without opening a transaction.

    This is for a single statement, which needs none.
    """
    try:
        yield
    except SecretsAppError as error:
        reason = error.reason if isinstance(error, Unavailable) else type(error).__name__
        with transaction.atomic():
            record(
                action,
                DENIED if isinstance(error, Forbidden) else FAILURE,
                actor=caller.actor,
                resource=Resource("secret", None, vault_id),
                details={"reason": reason} | ({} if path is None else {"path": path}),
            )
        raise

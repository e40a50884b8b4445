"""The events of signing in: the same fields for every way and every outcome."""

from dataclasses import replace
from typing import NoReturn

from django.db import transaction

from secrets_app.errors import Unauthenticated
from secrets_app.models import Principal
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.audit.failures import record_failure
from secrets_app.services.caller import Actor


def record_success(method: str, principal: Principal, actor: Actor) -> None:
    with transaction.atomic():
        record(
            "auth.success",
            SUCCESS,
            actor=acting_as(principal, actor),
            resource=Resource("principal", principal.id),
            details={"method": method},
        )


def record_refusal(method: str, reason: str, principal: Principal | None, actor: Actor) -> None:
    """Raises TooManyRequests where the address has failed too often."""
    record_failure(
        "auth.failure",
        actor=acting_as(principal, actor),
        resource=Resource("principal", principal.id if principal else None),
        details={"method": method, "reason": reason},
    )


def refuse(method: str, reason: str, principal: Principal | None, actor: Actor) -> NoReturn:
    """Raises Unauthenticated, and TooManyRequests where the address has failed too often."""
    record_refusal(method, reason, principal, actor)
    raise Unauthenticated(reason)


def acting_as(principal: Principal | None, actor: Actor) -> Actor:
    """Who a request without a token turns out to come from."""
    if principal is None:
        return actor
    return replace(actor, id=principal.id, type=principal.kind)

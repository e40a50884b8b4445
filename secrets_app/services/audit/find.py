"""Find events by what people remember: a path, a name or an id."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from secrets_app.models import ApiKey, AuditEvent, Principal, Secret, Vault, VaultKey
from secrets_app.models.ids import first_uuid7

# Request ids have no index, so only the events of this time are searched for them.
_REQUESTS_OF = timedelta(days=7)
_MOST_NAMED = 200


def find_events(events: QuerySet[AuditEvent], text: str) -> QuerySet[AuditEvent]:
    """Narrow events to those about a secret, principal, vault or request.

    `text` is a part of a path or of a name, or a whole id.
    """
    try:
        pk = UUID(text.strip())
    except ValueError:
        return events.filter(_about_named(text.strip()))
    about = events.filter(Q(pk=pk) | Q(actor_id=pk) | Q(resource_id=pk) | Q(vault_id=pk))
    if about.order_by().exists():
        return about
    return events.filter(request_id=pk, id__gte=first_uuid7(timezone.now() - _REQUESTS_OF))


def _about_named(text: str) -> Q:
    secrets = Secret.objects.filter(path__icontains=text).values_list("pk", flat=True)
    principals = Principal.objects.filter(name__icontains=text).values_list("pk", flat=True)
    vaults = Vault.objects.filter(name__icontains=text).values_list("pk", flat=True)
    who = list(principals[:_MOST_NAMED])
    return (
        Q(resource_id__in=[*secrets[:_MOST_NAMED], *who])
        | Q(actor_id__in=who)
        | Q(vault_id__in=list(vaults[:_MOST_NAMED]))
    )


def rows_by_id(ids: Iterable[UUID]) -> dict[UUID, Any]:
    """Return the rows that ids in events refer to, where they still exist: one query for each model."""
    left = set(ids)
    found: dict[UUID, Any] = {}
    for model in (Secret, Principal, Vault, ApiKey, VaultKey):
        if left:
            rows: dict[UUID, Any] = model._default_manager.in_bulk(list(left))
            found |= rows
            left -= rows.keys()
    return found


def name_of(row: Any) -> str:
    """Return what people call a row from `rows_by_id`: its path, name or version."""
    if isinstance(row, VaultKey):
        return f"vault key {row.version}"
    return str(getattr(row, "path", None) or getattr(row, "name", None) or row.pk)

"""One level of a vault's paths, as a folder shows it: names of secrets, and folders below."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from secrets_app.conf import app_settings
from secrets_app.models import Secret
from secrets_app.policy.decision import Permission
from secrets_app.policy.scope import Scope
from secrets_app.services.access.authorization import scope_for
from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Caller
from secrets_app.services.transactions.audited import audited_transaction

_FIRST_ROWS, _MOST_ROWS = 100, 5000
# Sorts after every character that a path can have.
_AFTER = "\x7f"


def list_level(*, caller: Caller, vault_id: UUID, folder: str) -> list[str]:
    """List the names in a folder (`""`, or a path with `/` at its end), those of folders with `/` at the
    end, in the order of paths: what the caller may read, and nothing that follows from what it may not.

    A deleted secret is shown while it can come back. All of a folder that was found is passed over by
    one step in the index.
    """
    with audited_transaction("secret.list", caller=caller, vault_id=vault_id):
        names = list(_names(_scope(caller, vault_id), vault_id, folder))
        record(
            "secret.list",
            SUCCESS,
            actor=caller.actor,
            resource=Resource("vault", vault_id, vault_id),
            details={"prefix": folder, "count": len(names)},
        )
    return names


def _scope(caller: Caller, vault_id: UUID) -> Scope:
    return scope_for(caller=caller, vault_id=vault_id, permission=Permission.LIST)


def _names(scope: Scope, vault_id: UUID, folder: str) -> Iterator[str]:
    rows = _shown(vault_id)
    after, seen = "", ""
    for each in scope.ranges(folder):
        size = _FIRST_ROWS
        while True:
            part = rows.filter(path__gte=each.first, path__gt=after, path__lt=each.end)
            paths = list(part.order_by("path").values_list("path", flat=True)[:size])
            for path in paths:
                if path <= after or not scope.covers(path):
                    continue
                name, is_folder, _ = path[len(folder) :].partition("/")
                if not name:
                    continue
                if is_folder:
                    # Nothing else in it can change what is shown.
                    after = f"{folder}{name}/{_AFTER}"
                if name + is_folder != seen:
                    seen = name + is_folder
                    yield seen
            if len(paths) < size:
                break
            after = max(after, paths[-1])
            size = min(2 * size, _MOST_ROWS)


def _shown(vault_id: UUID) -> QuerySet[Secret]:
    end = timezone.now() - timedelta(days=app_settings.DELETED_RETENTION_DAYS)
    return Secret.objects.filter(
        Q(deleted_at__isnull=True) | Q(deleted_at__gt=end), vault_id=vault_id
    )

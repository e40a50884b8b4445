"""Serve `/livez` and `/readyz`, for whatever starts, stops and feeds this process. `/v1/health` is for
people.

Neither asks a key provider. While one does not answer, keys in memory still work, so taking every
process out of service would only do harm.
"""

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

_migrated = False


@require_safe
def livez(_: HttpRequest) -> HttpResponse:
    """Answer 200. A process that cannot is to be restarted."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
def readyz(_: HttpRequest) -> HttpResponse:
    """Answer 200 if the database answers and has all migrations that this code needs, otherwise 503."""
    try:
        problem = _problem()
    except DatabaseError:
        problem = "the database does not answer"
    return HttpResponse(
        f"{problem or 'ok'}\n", status=503 if problem else 200, content_type="text/plain"
    )


def _problem() -> str | None:
    global _migrated
    if _migrated:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return None
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return "migrations are to be applied"
    _migrated = True
    return None

"""What somebody with write access to the database does: rows are changed and removed by plain SQL."""

from typing import Any
from uuid import UUID

from django.db import connection


def raw_update(model: Any, pk: Any, **columns: Any) -> None:
    """Change one row."""
    assignments = ", ".join(f"{column} = %s" for column in columns)
    _execute(
        f"UPDATE {model._meta.db_table} SET {assignments} WHERE id = %s", *columns.values(), pk
    )


def raw_delete(model: Any, pk: Any) -> None:
    """Remove one row."""
    _execute(f"DELETE FROM {model._meta.db_table} WHERE id = %s", pk)


def _execute(sql: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, [_as_stored(value) for value in values])
        assert cursor.rowcount == 1


def _as_stored(value: Any) -> Any:
    return value.hex if isinstance(value, UUID) and connection.vendor == "sqlite" else value

"""Read rows although some of them may be damaged.

Somebody may have edited a row into what no program of ours writes. It is named, and the others are
read all the same.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar
from uuid import UUID

from django.db import DataError
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

Row = TypeVar("Row")
Use = TypeVar("Use")

# What a column raises while it becomes a value, or a value while it is used: a date in the year infinity,
# half an id, JSON a million levels deep, text where there should be bytes.
UNREADABLE = (
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    DataError,
)


def read_each(
    rows: QuerySet[Any, Row], use: Callable[[Row], Use], *, most: int
) -> tuple[list[tuple[Row, Use]], list[str]]:
    """Return the first `most` rows with what `use` makes of each, and the ids of the damaged ones.

    It takes one statement, or one for each row where a row is damaged.
    """
    try:
        return [(row, use(row)) for row in rows[:most]], []
    except UNREADABLE:
        pass
    raw_id = Cast("pk", TextField())
    used: list[tuple[Row, Use]] = []
    damaged = []
    for name in list(rows.annotate(raw_id=raw_id).values_list("raw_id", flat=True)[:most]):
        try:
            row = rows.alias(raw_id=raw_id).get(raw_id=name)
            used.append((row, use(row)))
        except UNREADABLE:
            damaged.append(_shown(name))
    return used, damaged


def _shown(name: str) -> str:
    """Spell an id as elsewhere; SQLite keeps UUIDs without hyphens."""
    with suppress(ValueError):
        return str(UUID(name)) if len(name) == 32 else name
    return name

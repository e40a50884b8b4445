"""Store a change and the rows that come with it, together or not at all.

On PostgreSQL that is one statement, and so one round trip; elsewhere it is a short transaction. The
SQL is compiled once for each kind of change.

`insert_statement` and `change_statement` work everything out beforehand and return a `Statement`. It
runs when it is called, in any thread, and tells whether it changed anything.
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

from django.db import models, transaction
from django.db.models import sql

from secrets_app.sql.compiled import cursor_of, fill, this_database, with_constants


class Statement(Protocol):
    """Run what was worked out beforehand, in any thread; return whether it changed anything.

    `lock_timeout`: how long it and what follows in its transaction may wait for a lock, in PostgreSQL's
    words such as `10ms`; beyond that django.db.OperationalError is raised. None: as long as it takes.
    """

    def __call__(self, *, lock_timeout: str | None = None) -> bool: ...


class ConditionalUpdate:
    """An UPDATE that finds its row as it was last seen, or changes nothing (compare and set).

    It is compiled once, for each kind of database.
    """

    def __init__(self, make: Callable[[Any], tuple[str, Sequence[Any]]]) -> None:
        self._make = make
        self._made: dict[str, tuple[str, Sequence[Any]]] = {}

    def statement(self, database: Any) -> tuple[str, Sequence[Any]]:
        """Return SQL and parameters, with slots among them."""
        made = self._made.get(database.vendor)
        if made is None:
            made = self._made[database.vendor] = self._make(database)
        return made


def conditional_update(
    rows: Callable[[], "models.QuerySet[Any]"], **assignments: Any
) -> ConditionalUpdate:
    """Make an UPDATE of what a queryset finds; it and the assignments may have slots."""

    def make(database: Any) -> tuple[str, Sequence[Any]]:
        query: Any = rows().query.chain(sql.UpdateQuery)
        query.add_update_values(assignments)
        with transaction.atomic():  # where Django compiles `select_for_update`
            text, parameters = query.get_compiler(connection=database).as_sql()
        return with_constants(text, parameters)

    return ConditionalUpdate(make)


def insert_statement(row: models.Model, others: Sequence[models.Model]) -> Statement:
    """Make a statement that inserts `row`, unless there is one like it already, and then `others`."""
    database = this_database()
    columns, marks = _columns_and_marks(type(row))
    # S608: names of our own tables and columns, quoted.
    if database.vendor == "postgresql":
        text = f"INSERT INTO {columns} SELECT {marks} FROM patience ON CONFLICT DO NOTHING"  # noqa: S608
    else:
        text = f"INSERT INTO {columns} VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608
    return _act(database, text, _values(row, database), others)


def change_statement(
    change: ConditionalUpdate, values: dict[str, Any], others: Sequence[models.Model]
) -> Statement:
    """Make a statement that carries out a change and inserts `others`, if it finds its row.

    `values` fill the slots of the change.
    """
    database = this_database()
    text, parameters = change.statement(database)
    return _act(database, text, fill(parameters, values, database), others)


def insert_rows(rows: Sequence[models.Model]) -> None:
    """Insert rows of one model at once, with one statement."""
    database = this_database()
    columns, marks = _columns_and_marks(type(rows[0]))
    values: list[Any]
    if len(rows) > 1 and database.vendor == "postgresql":
        # One parameter for all of them: the statement is always the same, and stays prepared.
        table, _, names = columns.partition(" ")
        records = f"json_populate_recordset(NULL::{table}, %s::json)"
        source = f"SELECT {names[1:-1]} FROM {records}"  # noqa: S608
        values = [_to_json([_as_object(row) for row in rows])]
    else:
        source = "VALUES " + ", ".join([f"({marks})"] * len(rows))
        values = [value for row in rows for value in _values(row, database)]
    cursor_of(database).execute(f"INSERT INTO {columns} {source}", values)
    for row in rows:
        row._state.adding, row._state.db = False, database.alias


def _as_object(row: models.Model) -> dict[str, Any]:
    return {
        str(field.column): field.get_prep_value(field.pre_save(row, add=True))
        for field in row._meta.concrete_fields
    }


def _as_text(value: Any) -> str:
    """Spell what JSON has no form for as PostgreSQL reads it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (bytes, memoryview)):
        return "\\x" + value.hex()
    return str(value)


_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_as_text).encode


def _act(
    database: Any, text: str, parameters: list[Any], others: Sequence[models.Model]
) -> Statement:
    """Work out all but what the database does, on the connection of whoever runs the statement."""
    if database.vendor == "postgresql":
        for other in others:
            parameters += _values(other, database)
        statement = _with_change(text, tuple(type(other) for other in others))

        def act(*, lock_timeout: str | None = None) -> bool:
            return _change(statement, [lock_timeout, *parameters])

    else:

        def act(*, lock_timeout: str | None = None) -> bool:  # noqa: ARG001  (SQLite has one lock)
            return _change_and_store(text, parameters, others)

    return act


def _change(text: str, parameters: list[Any]) -> bool:
    cursor = cursor_of(this_database())
    cursor.execute(text, parameters)
    return bool(cursor.rowcount)


def _change_and_store(text: str, parameters: list[Any], others: Sequence[models.Model]) -> bool:
    with transaction.atomic():
        if not _change(text, parameters):
            return False
        for other in others:
            insert_rows([other])
    return True


# How long this transaction waits for locks from here on, set without a statement of its own. What it is
# joined with is carried out after it. NULL leaves it as it is.
_PATIENCE = (
    "patience AS MATERIALIZED (SELECT set_config("
    "'lock_timeout', coalesce(%s, current_setting('lock_timeout')), true))"
)


@lru_cache(maxsize=64)
def _with_change(text: str, others: tuple[type[models.Model], ...]) -> str:
    """Make the change a common table expression that each INSERT selects from."""
    inserts = []
    for model in others:
        columns, marks = _columns_and_marks(model)
        inserts.append(f"INSERT INTO {columns} SELECT {marks} FROM change, patience")  # noqa: S608
    ctes = [_PATIENCE, f"change AS ({text} RETURNING 1)"]
    ctes += [f"insert{number} AS ({insert})" for number, insert in enumerate(inserts[:-1])]
    return f"WITH {', '.join(ctes)} {inserts[-1]}"


@lru_cache(maxsize=64)
def _columns_and_marks(model: type[models.Model]) -> tuple[str, str]:
    quote = this_database().ops.quote_name
    fields = model._meta.concrete_fields
    columns = ", ".join(quote(field.column) for field in fields)
    return f"{quote(model._meta.db_table)} ({columns})", ", ".join(["%s"] * len(fields))


def _values(row: models.Model, database: Any) -> list[Any]:
    return [
        getattr(row, field.attname)
        if is_plain
        else field.get_db_prep_save(field.pre_save(row, add=True), database)
        for field, is_plain in _fields(type(row), database.vendor)
    ]


# What PostgreSQL's driver takes as it is.
_PLAIN = {
    models.CharField,
    models.DateTimeField,
    models.PositiveBigIntegerField,
    models.PositiveIntegerField,
    models.UUIDField,
}


@lru_cache(maxsize=64)
def _fields(model: type[models.Model], vendor: str) -> list[tuple[Any, bool]]:
    """Return each field, and whether its value goes to the driver as it stands in the object."""
    return [
        (field, vendor == "postgresql" and type(_aim(field)) in _PLAIN)
        for field in model._meta.concrete_fields
    ]


def _aim(field: Any) -> Any:
    return _aim(field.target_field) if isinstance(field, models.ForeignKey) else field

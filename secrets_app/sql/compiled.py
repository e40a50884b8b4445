"""Compile querysets once and run them often: Django's compiler costs more time than the database.

Several querysets that each find at most one row are joined into one statement. So they cost one
round trip and see one state of the database.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models.base import ModelState
from django.db.models.query import ModelIterable

Decoder = Callable[[Sequence[Any], Any], Any]


class Slot(models.Expression):
    """A placeholder in a queryset, for a value that is given each time the query runs."""

    def __init__(self, name: str, output_field: "models.Field[Any, Any]") -> None:
        super().__init__(output_field=output_field)
        self.name = name

    def as_sql(self, *_: Any, **__: Any) -> Any:
        return "%s", (self,)

    def fill(self, values: dict[str, Any], to: Any) -> Any:
        """Return the value as the driver of the connection `to` takes it."""
        return self.output_field.get_db_prep_value(values[self.name], to)


class OfBeginning(models.Expression):
    """A column of the row that a `CompiledQuery` begins with, as a value; NULL where there is none."""

    def __init__(self, column: str, output_field: "models.Field[Any, Any]") -> None:
        super().__init__(output_field=output_field)
        self.column = column

    def as_sql(self, compiler: Any, connection: Any, *_: Any, **__: Any) -> Any:
        column = connection.ops.quote_name(self.column)
        return f"(SELECT {column} FROM beginning)", ()  # noqa: S608  (quoted)


class _Compiled(NamedTuple):
    sql: str
    parameters: tuple[Any, ...]
    parts: tuple[tuple[slice, Decoder], ...]


class CompiledQuery:
    """Querysets that are compiled at the first run, for each kind of database.

    `querysets` makes them, with a `Slot` for each value that differs from run to run. The first one
    finds the row without which the others do not matter. `beginning` makes one that finds at most one
    row before, by `values()`; the others refer to it by `OfBeginning`.
    """

    def __init__(
        self,
        querysets: Callable[[], "Sequence[models.QuerySet[Any, Any]]"],
        beginning: Callable[[], "models.QuerySet[Any, Any]"] | None = None,
    ) -> None:
        self._querysets, self._beginning = querysets, beginning
        self._compiled: dict[str, _Compiled] = {}

    def first(self, **values: Any) -> tuple[Any, Sequence[Callable[[], Any]]] | None:
        """Run the query. Return what the first queryset finds, an object or a dictionary where it says
        `values()`, and for each of the others a function that makes what it found, or None.

        Returns None where the first queryset finds nothing.
        """
        database = this_database()
        compiled = self._compiled.get(database.vendor) or self._compile(database)
        cursor = cursor_of(database)
        cursor.execute(compiled.sql, fill(compiled.parameters, values, database))
        row = cursor.fetchone()
        if row is None:
            return None
        found, *others = [partial(decode, row[part], database) for part, decode in compiled.parts]
        return found(), others

    def all(self, **values: Any) -> list[Any]:
        """Run the query and return everything that the first queryset finds, in no order."""
        database = this_database()
        compiled = self._compiled.get(database.vendor) or self._compile(database)
        part, decode = compiled.parts[0]
        cursor = cursor_of(database)
        cursor.execute(compiled.sql, fill(compiled.parameters, values, database))
        return [decode(row[part], database) for row in cursor.fetchall()]

    def _compile(self, database: Any) -> _Compiled:
        """Make each queryset a table of the statement, with a column that tells whether its row
        is there."""
        tables: list[str] = []
        parameters: list[Any] = []
        parts: list[tuple[slice, Decoder]] = []
        begin, before = 0, ""
        if self._beginning is not None:
            compiler = self._beginning().query.get_compiler(connection=database)
            sql, its_parameters = with_constants(*compiler.as_sql())
            before, parameters = f"WITH beginning AS ({sql}) ", its_parameters
        for number, queryset in enumerate(self._querysets()):
            compiler = queryset.query.get_compiler(connection=database)
            sql, its_parameters = with_constants(*compiler.as_sql())
            parameters += its_parameters
            # S608: made of compiled querysets.
            is_there = f"(SELECT 1 AS found, sub{number}.* FROM ({sql}) sub{number}) q{number}"  # noqa: S608
            tables.append(is_there if not tables else f"LEFT JOIN {is_there} ON TRUE")
            end = begin + 1 + len(compiler.select)
            parts.append((slice(begin, end), _decoder(queryset, compiler)))
            begin = end
        columns = ", ".join(f"q{number}.*" for number in range(len(tables)))
        compiled = _Compiled(
            f"{before}SELECT {columns} FROM {' '.join(tables)}",  # noqa: S608
            tuple(parameters),
            tuple(parts),
        )
        self._compiled[database.vendor] = compiled
        return compiled


def this_database() -> Any:
    """Return the thread's connection itself: `django.db.connection` looks it up at each use."""
    return connections[DEFAULT_DB_ALIAS]


def cursor_of(database: Any) -> Any:
    """Return a cursor for a statement whose rows are fetched at once; the backend may keep one."""
    kept_cursor = getattr(database, "kept_cursor", None)
    return database.cursor() if kept_cursor is None else kept_cursor()


def fill(parameters: Sequence[Any], values: dict[str, Any], database: Any) -> list[Any]:
    """Return the parameters of a compiled statement with the slots filled."""
    return [each.fill(values, database) if isinstance(each, Slot) else each for each in parameters]


_MARK = re.compile("%[%s]")
_NAME = re.compile("[a-z_]+")


def with_constants(sql: str, parameters: Sequence[Any]) -> tuple[str, list[Any]]:
    """Write the names that are the same each time, such as a state, into a statement.

    A database that is given them as parameters does not know that a partial index fits them. SQLite
    plans such a statement anew each time, which takes longer than all the rest.
    """
    left = list(parameters)
    kept: list[Any] = []

    def fill_in(mark: re.Match[str]) -> str:
        if mark[0] == "%%":
            return mark[0]
        value = left.pop(0)
        if isinstance(value, int) and not isinstance(value, bool):
            return f"({int(value)})"
        if isinstance(value, str) and _NAME.fullmatch(value):
            return f"'{value}'"
        kept.append(value)
        return mark[0]

    return _MARK.sub(fill_in, sql), kept


def _decoder(queryset: "models.QuerySet[Any, Any]", compiler: Any) -> Decoder:
    converters = [
        (index, function, expression)
        for index, (functions, expression) in compiler.get_converters(
            [column for column, *_ in compiler.select]
        ).items()
        for function in functions
    ]
    build = (
        _annotated_builder(compiler)
        if queryset._iterable_class is ModelIterable
        else _dictionary_builder(queryset.query)
    )

    def decode(found: Sequence[Any], database: Any) -> Any:
        if found[0] is None:
            return None
        row = list(found[1:])
        for index, function, expression in converters:
            row[index] = function(row[index], expression, database)
        return build(row)

    return decode


def _annotated_builder(compiler: Any) -> Callable[[Sequence[Any]], models.Model | None]:
    build_object = _object_builder(compiler.klass_info, compiler.select)
    annotations = list(compiler.annotation_col_map.items())

    def build(row: Sequence[Any]) -> models.Model | None:
        found = build_object(row)
        if found is not None:
            for name, index in annotations:
                setattr(found, name, row[index])
        return found

    return build


def _object_builder(info: Any, select: Any) -> Callable[[Sequence[Any]], models.Model | None]:
    """An object, with all that `select_related` asks for; None where an outer join found none.

    It is made as `Model.from_db` makes it, but for defaults and signals.
    """
    model = info["model"]
    columns = info["select_fields"]
    names = [select[index][0].target.attname for index in columns]
    first, last = columns[0], columns[-1] + 1
    key = columns[names.index(model._meta.pk.attname)]
    related = [
        (each["local_setter"], _object_builder(each, select))
        for each in info.get("related_klass_infos", ())
    ]

    def build(row: Sequence[Any]) -> models.Model | None:
        if row[key] is None:
            return None
        found: models.Model = model.__new__(model)
        found.__dict__.update(zip(names, row[first:last], strict=True))
        found._state = state = ModelState()
        state.adding, state.db = False, DEFAULT_DB_ALIAS
        for attach, build_other in related:
            attach(found, build_other(row))
        return found

    return build


def _dictionary_builder(query: Any) -> Callable[[Sequence[Any]], dict[str, Any]]:
    names = list(query.selected)
    return lambda row: dict(zip(names, row, strict=True))

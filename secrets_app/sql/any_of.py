"""Add the lookup `any_of`: `path__any_of=[…]` finds what `path__in` finds, with the list as one parameter.

So the statement is the same for any number of values, and neither driver nor database reads hundreds
of placeholders each time.
"""

import json
from collections.abc import Iterable
from typing import Any

from django.db import models
from django.db.models.lookups import Lookup

from secrets_app.sql.compiled import Slot


def list_parameter(values: Iterable[Any], field: "models.Field[Any, Any]", database: Any) -> Any:
    """Return a list as the lookup takes it: an array on PostgreSQL, JSON elsewhere."""
    listed = [field.get_db_prep_value(value, database) for value in values]
    return listed if database.vendor == "postgresql" else json.dumps(listed)


class ListSlot(Slot):
    """A placeholder for a list that is given each time the query runs."""

    def fill(self, values: dict[str, Any], to: Any) -> Any:
        return list_parameter(values[self.name], self.output_field, to)


@models.Field.register_lookup
class AnyOf(Lookup):
    lookup_name = "any_of"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return self._compare(compiler, connection, "IN (SELECT value FROM json_each(%s))")

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        return self._compare(compiler, connection, "= ANY(%s)")

    def _compare(self, compiler: Any, connection: Any, how: str) -> Any:
        left, parameters = self.process_lhs(compiler, connection)
        values: Any = self.rhs
        if not isinstance(values, ListSlot):
            values = list_parameter(values, self.lhs.output_field, connection)
        return f"{left} {how}", [*parameters, values]

"""Read a principal's policies in a vault as one column of the principal's row.

So one query brings all that a request needs, however many policies there are.
"""

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import FieldDoesNotExist
from django.db.models import (
    Aggregate,
    ForeignKey,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextField,
    UUIDField,
)
from django.db.models.fields.related_lookups import RelatedIn
from django.db.models.functions import JSONObject
from django.db.models.lookups import In

from secrets_app.models.policy import Policy
from secrets_app.models.principal import Principal
from secrets_app.policy.decision import Rule

_MAX_CACHED_CHARS = 64 * 1024


class _JSONList(Aggregate):
    """Aggregate into a JSON array as text, so that a text that was parsed before need not be parsed
    again.
    """

    function = "JSON_GROUP_ARRAY"
    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "%(function)s(%(expressions)s)::text"
        return self.as_sql(compiler, connection, function="JSON_AGG", template=template, **context)


class _ArrayOnPostgreSQL:
    """An `IN` that PostgreSQL answers with an index even as one side of an OR.

    Otherwise it looks at all policies of the vault, or at all vaults.
    """

    def get_rhs_op(self, connection: Any, rhs: str) -> str:
        if connection.vendor == "postgresql":
            return f"= ANY (ARRAY{rhs})"
        return str(super().get_rhs_op(connection, rhs))  # type: ignore[misc]


@ForeignKey.register_lookup
class _RelatedInSubquery(_ArrayOnPostgreSQL, RelatedIn):
    lookup_name = "in_subquery"


@UUIDField.register_lookup
class _InSubquery(_ArrayOnPostgreSQL, In):
    lookup_name = "in_subquery"


def rules_in(vault_id: Any) -> Subquery:
    """Return a principal's policies in a vault, and those of its groups, as a subquery of JSON text."""
    applies = Q(principal_id=OuterRef("pk"))
    if users_have_groups():
        applies |= Q(group__in_subquery=_group_ids_of(OuterRef(OuterRef("user_id"))))
    rules = (
        Policy.objects.filter(applies, Q(vault_id=vault_id))
        .order_by()
        .values("vault_id")
        .annotate(
            rules=_JSONList(
                JSONObject(
                    id="id",
                    pattern="pattern",
                    permissions="permissions",
                    effect="effect",
                    conditions="conditions",
                    expires_at="expires_at",
                )
            )
        )
        .values("rules")
    )
    return Subquery(rules, output_field=TextField())


def policies_of(principal_id: UUID) -> QuerySet[Policy]:
    """Return a principal's policies in all vaults, and those of its groups."""
    applies = Q(principal_id=principal_id)
    if users_have_groups():
        user = Principal.objects.filter(pk=principal_id, user__isnull=False).values("user_id")
        applies |= Q(group__in_subquery=_group_ids_of(Subquery(user[:1])))
    return Policy.objects.filter(applies)


def parse_rules(text: str | None) -> tuple[Rule, ...]:
    """Parse the column of `rules_in` into rules of the policy package."""
    if text is None:
        return ()
    return _parse_cached(text) if len(text) <= _MAX_CACHED_CHARS else _parse(text)


def _parse(text: str) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            policy_id=UUID(each["id"]),
            pattern=each["pattern"],
            permissions=_loads(each["permissions"]),
            effect=each["effect"],
            conditions=_loads(each["conditions"]),
            expires_at=_instant(each["expires_at"]),
        )
        for each in json.loads(text)
    )


# A cached text is never out of date: other rules are another text.
_parse_cached = lru_cache(maxsize=1024)(_parse)


def _loads(text: str | None) -> object:
    """Parse JSON. Text that is not JSON stays text, which no rule understands."""
    if text is None:
        return None
    try:
        parsed: object = json.loads(text)
    except ValueError:
        return text
    return parsed


def _instant(text: str | None) -> datetime | None:
    """Parse a time. SQLite writes it without an offset, in UTC."""
    if text is None:
        return None
    parsed = datetime.fromisoformat(text)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed


def groups_of(user_id: Any) -> QuerySet[Group]:
    """Return a person's groups; none if the host project's user model has no groups."""
    return Group.objects.filter(user=user_id) if users_have_groups() else Group.objects.none()


def _group_ids_of(user_id: Any) -> Subquery:
    return Subquery(groups_of(user_id).values("pk"))


def users_have_groups() -> bool:
    """Tell whether the host project's user model has groups."""
    try:
        get_user_model()._meta.get_field("groups")
    except FieldDoesNotExist:
        return False
    return True

"""The policies that concern a principal in a vault, as one column of the principal's row.

With it everything about a request comes with one query, however many policies there are.
"""

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Aggregate, ForeignKey, OuterRef, Q, QuerySet, Subquery, TextField
from django.db.models.fields.related_lookups import RelatedIn
from django.db.models.functions import JSONObject

from secrets_app.models.policy import Policy
from secrets_app.models.principal import Principal
from secrets_app.policy.decision import Rule

_KEPT_CHARS = 64 * 1024


class _JSONList(Aggregate):
    """A JSON array as text: what was parsed before need not be parsed again."""

    function = "JSON_GROUP_ARRAY"
    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "%(function)s(%(expressions)s)::text"
        return self.as_sql(compiler, connection, function="JSON_AGG", template=template, **context)


@ForeignKey.register_lookup
class _InSubquery(RelatedIn):
    """`IN`, said so that PostgreSQL uses an index for this side of an OR too. Otherwise it looks at all
    policies of the vault."""

    lookup_name = "in_subquery"

    def get_rhs_op(self, connection: Any, rhs: str) -> str:
        if connection.vendor == "postgresql":
            return f"= ANY (ARRAY{rhs})"
        return str(super().get_rhs_op(connection, rhs))


def rules_in(vault_id: Any) -> Subquery:
    """For a queryset of principals: their policies in a vault, their groups' included, as JSON."""
    concerned = Q(principal_id=OuterRef("pk"))
    if users_have_groups():
        concerned |= Q(group__in_subquery=_group_ids_of(OuterRef(OuterRef("user_id"))))
    rules = (
        Policy.objects.filter(concerned, Q(vault_id=vault_id))
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
    """A principal's policies in all vaults, its groups' included."""
    concerned = Q(principal_id=principal_id)
    if users_have_groups():
        user = Principal.objects.filter(pk=principal_id, user__isnull=False).values("user_id")
        concerned |= Q(group_id__in=_group_ids_of(Subquery(user[:1])))
    return Policy.objects.filter(concerned)


def parse_rules(text: str | None) -> tuple[Rule, ...]:
    """The column of `rules_in` as rules of the policy package."""
    if text is None:
        return ()
    return _parse_kept(text) if len(text) <= _KEPT_CHARS else _parse(text)


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


# The same text says the same: nothing that was changed since is kept here.
_parse_kept = lru_cache(maxsize=1024)(_parse)


def _loads(text: str | None) -> object:
    """JSON kept as text. What is not JSON at all stays what it is, and makes no sense to anybody."""
    if text is None:
        return None
    try:
        parsed: object = json.loads(text)
    except ValueError:
        return text
    return parsed


def _instant(text: str | None) -> datetime | None:
    """SQLite writes times without an offset, in UTC."""
    if text is None:
        return None
    parsed = datetime.fromisoformat(text)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed


def groups_of(user_id: Any) -> QuerySet[Group]:
    """The groups of a person, none where the project's people have none."""
    return Group.objects.filter(user=user_id) if users_have_groups() else Group.objects.none()


def _group_ids_of(user_id: Any) -> Subquery:
    return Subquery(groups_of(user_id).values("pk"))


def users_have_groups() -> bool:
    try:
        get_user_model()._meta.get_field("groups")
    except FieldDoesNotExist:
        return False
    return True

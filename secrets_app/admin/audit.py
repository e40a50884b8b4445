"""Show the audit log, its seals and keys. A log has millions of rows, so no page counts or sorts them
all.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from secrets_app.admin.calendar import RisingCalendar, midnight
from secrets_app.admin.filters import RowFilter, row_filter
from secrets_app.admin.read_only import ReadOnlyAdmin
from secrets_app.models import AuditEvent, AuditKey, AuditSeal, Principal, Secret, Vault
from secrets_app.services.audit import find_events, name_of, rows_by_id
from secrets_app.services.operations.overview.activity import (
    FAILED_SIGN_INS,
    READS,
    WRITES,
    between,
)

_DAYS = {"today": (0, 1), "yesterday": (1, 1), "week": (6, 7), "month": (29, 30)}


class ActivityFilter(SimpleListFilter):
    """Kinds of events."""

    title = "what"
    parameter_name = "what"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [
            ("reads", "Values read"),
            ("writes", "Secrets written or ended"),
            ("denials", "Denied"),
            ("refused", "Denied or failed"),
            ("sign-ins", "Sign-ins"),
            ("failed-sign-ins", "Failed sign-ins"),
        ]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent]
    ) -> QuerySet[AuditEvent]:
        success = AuditEvent.Outcome.SUCCESS
        match self.value():
            case "reads":
                return queryset.filter(action__in=READS, outcome=success)
            case "writes":
                return queryset.filter(action__in=WRITES, outcome=success)
            case "denials":
                return queryset.exclude(outcome=success).filter(outcome=AuditEvent.Outcome.DENIED)
            case "refused":
                return queryset.exclude(outcome=success)
            case "sign-ins":
                return queryset.filter(action="auth.success")
            case "failed-sign-ins":
                return queryset.filter(action__in=FAILED_SIGN_INS)
        return queryset


class TimeFilter(SimpleListFilter):
    """Days, or any span as `start..end`, to which charts link."""

    title = "when"
    parameter_name = "when"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        offered = [
            ("today", "Today"),
            ("yesterday", "Yesterday"),
            ("week", "Last 7 days"),
            ("month", "Last 30 days"),
        ]
        value = self.value() or ""
        if ".." in value:
            start, end = _span(value)
            offered.append((value, f"{start:%d %b %H:%M} to {end:%d %b %H:%M}"))
        return offered

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent]
    ) -> QuerySet[AuditEvent]:
        value = self.value()
        return between(queryset, *_span(value)) if value else queryset


def _span(value: str) -> tuple[datetime, datetime]:
    if value in _DAYS:
        back, length = _DAYS[value]
        start = midnight(timezone.localdate() - timedelta(days=back))
        return start, start + timedelta(days=length)
    try:
        first, _, last = value.partition("..")
        start, end = datetime.fromisoformat(first), datetime.fromisoformat(last)
        if start.tzinfo is None or end.tzinfo is None:
            raise ValueError
    except ValueError:
        raise IncorrectLookupParameters from None
    return timezone.localtime(start), timezone.localtime(end)


class ResourceFilter(RowFilter):
    """The secret, or whatever else the id belongs to."""

    title = "done to"
    parameter_name = column = "resource_id"
    rows = Secret

    def name_of(self, pk: UUID) -> str:
        row = rows_by_id([pk]).get(pk)
        return str(pk) if row is None else name_of(row)


class LogChangeList(ChangeList):
    """A list that walks down the ids, so it turns the drill-down's times into a range of ids.

    It looks up the names for a page with one query for each model.
    """

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        events = super().get_queryset(*args, **kwargs)
        try:
            parts = [int(self.params[f"created_at__{each}"]) for each in _PARTS if self._has(each)]
            if not parts:
                return events
            year, month, day = (*parts, 1, 1)[:3]
            start = datetime(year, month, day, tzinfo=UTC)
        except (ValueError, OverflowError):
            raise IncorrectLookupParameters from None
        # One day more on both sides covers every time zone.
        length = timedelta(days={1: 366, 2: 31, 3: 1}[len(parts)])
        spare = timedelta(days=1)
        return between(events, start - spare, start + length + spare)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        ids = {pk for row in rows for pk in (row.actor_id, row.resource_id) if pk}
        names = rows_by_id(ids)
        for row in rows:
            row.named_rows = names
        self.result_list = rows

    def _has(self, part: str) -> bool:
        return f"created_at__{part}" in self.params


_PARTS = ("year", "month", "day")


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "who", "action", "what", "outcome", "address")
    list_filter = (
        TimeFilter,
        ActivityFilter,
        row_filter("actor_id", Principal, "done by"),
        ResourceFilter,
        row_filter("vault_id", Vault),
    )
    search_fields = ("id",)
    search_help_text = (
        "A path, the name of a person, an agent or a vault, or any id;"
        " the id of a request among the last seven days."
    )
    date_hierarchy = "created_at"
    calendar = RisingCalendar
    ordering = ("-id",)
    sortable_by = ()
    list_display_links = ("created_at",)
    fields = (
        "id",
        "created_at",
        "who",
        "actor_type",
        "action",
        "outcome",
        "what",
        "resource_type",
        "resource_id",
        "vault_id",
        "details",
        "ip_address",
        "request_id",
        "key_number",
        "seal_number",
    )
    readonly_fields = ("who", "what")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("mac")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return LogChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return (find_events(queryset, search_term) if search_term else queryset), False

    @admin.display(description="from")
    def address(self, row: AuditEvent) -> str | None:
        return row.ip_address

    @admin.display(description="who")
    def who(self, row: AuditEvent) -> SafeString | str:
        return self._link_to(row, row.actor_id) or row.actor_type

    @admin.display(description="to what")
    def what(self, row: AuditEvent) -> SafeString | str:
        link = self._link_to(row, row.resource_id)
        details: dict[str, Any] = row.details if isinstance(row.details, dict) else {}
        # Where the row is gone or was never found, the event itself has the path.
        return link or str(details.get("path") or row.resource_type)

    def _link_to(self, row: AuditEvent, pk: UUID | None) -> SafeString | None:
        rows = getattr(row, "named_rows", None)
        found = None if pk is None else (rows_by_id([pk]) if rows is None else rows).get(pk)
        return None if found is None else self.link(found, name_of(found))


@admin.register(AuditSeal)
class AuditSealAdmin(ReadOnlyAdmin):
    list_display = ("number", "events", "first_at", "last_at", "exported_at", "pruned_at")
    search_fields = ("number",)
    date_hierarchy = "sealed_at"
    ordering = ("-number",)
    sortable_by = ()
    fields = (
        "number",
        "events",
        "total",
        "first_at",
        "last_at",
        "sealed_at",
        "key_number",
        "exported_at",
        "pruned_at",
        "its_events",
    )
    readonly_fields = ("its_events",)

    @admin.display(description="see also")
    def its_events(self, row: AuditSeal) -> SafeString:
        return self.link_to_list("auditevent", "its events", seal_number=row.number)


@admin.register(AuditKey)
class AuditKeyAdmin(ReadOnlyAdmin):
    list_display = ("number", "root_key_id", "created_at")
    search_fields = ("number", "root_key_id")
    fields = ("number", "root_key_id", "created_at")

"""Show the answers that are kept for Idempotency-Keys."""

from django.contrib import admin

from secrets_app.admin.calendar import RisingCalendar
from secrets_app.admin.filters import PrincipalFilter
from secrets_app.admin.read_only import ReadOnlyAdmin, related
from secrets_app.models import IdempotencyKey


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    list_display = ("id", "principal_link", "status", "created_at")
    list_filter = (PrincipalFilter,)
    list_select_related = ("principal",)
    search_fields = ("id", "principal__name")
    date_hierarchy = "created_at"
    calendar = RisingCalendar
    ordering = ("-id",)
    sortable_by = ()
    fields = ("id", "principal_link", "status", "created_at", "claimed_at")
    readonly_fields = ("principal_link",)
    principal_link = related("principal", "name")

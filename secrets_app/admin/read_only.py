"""Provide what all admins of the app share: they are read-only, fast with many rows, and linked."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.module_loading import import_string
from django.utils.safestring import SafeString

from secrets_app.admin.calendar import Calendar
from secrets_app.conf import app_settings

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    # Django's ModelAdmin, or the one of the project's theme.
    ModelAdmin = import_string(app_settings.ADMIN_BASE)


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts only as far as anybody turns pages: counting millions takes longer than showing them."""

    MOST = 10_000

    @cached_property
    def count(self) -> int:
        if not isinstance(self.object_list, QuerySet):
            return super().count
        # The count needs no columns that are only shown.
        return self.object_list.order_by().values("pk")[: self.MOST].count()


class ReadOnlyAdmin(ModelAdmin):
    """An admin without forms. Services make all changes: they judge, seal and record events."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator
    list_per_page = 50
    list_max_show_all = 0
    # For django-unfold: on wide screens filters are beside the list, not behind a button.
    list_filter_sheet = False
    calendar: type[Calendar] = Calendar
    # `see_also` links to these lists, filtered by the column that refers to the row.
    related_lists: tuple[tuple[str, str, str], ...] = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return self.calendar(self.model).order_by(*self.get_ordering(request))

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def called(self, row: Model) -> str:
        """Return what people call a row: the first column of the list."""
        column = self.list_display[0]
        method = getattr(self, str(column), None)
        return str(method(row) if callable(method) else getattr(row, str(column))) or str(row.pk)

    def link(self, row: Model, text: str) -> SafeString:
        """Return a link to a row's own page."""
        name = f"{self.admin_site.name}:{row._meta.app_label}_{row._meta.model_name}_change"
        return format_html('<a href="{}">{}</a>', reverse(name, args=[row.pk]), text)

    def link_to_list(self, model_name: str, text: str, **query: Any) -> SafeString:
        """Return a link to a filtered list of the app."""
        url = reverse(f"{self.admin_site.name}:secrets_app_{model_name}_changelist")
        return format_html('<a href="{}?{}">{}</a>', url, urlencode(query), text)

    @admin.display(description="see also")
    def see_also(self, row: Model) -> SafeString:
        links = (
            (self.link_to_list(model, text, **{column: row.pk}),)
            for text, model, column in self.related_lists
        )
        return format_html_join(" · ", "{}", links)


def related(field: str, show: str = "", label: str = "") -> Callable[..., Any]:
    """Make a column that links to a foreign key's row and shows that row's attribute `show`."""

    @admin.display(description=label or field.replace("_", " "))
    def column(self: ReadOnlyAdmin, row: Any) -> SafeString | None:
        other = getattr(row, field)
        if other is None:
            return None
        return self.link(other, str(getattr(other, show) if show else other) or str(other.pk))

    return column

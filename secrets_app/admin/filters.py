"""Filter lists. Each filter is a condition on an indexed column, or on few rows."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Exists, Model, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from secrets_app.conf import app_settings
from secrets_app.models import Principal, Secret, SecretVersion, Vault
from secrets_app.services.operations.overview.inventory import current_version_of_secret, unread

_SOON = {"week": 7, "month": 30, "quarter": 90}
_VAULTS_OFFERED = 30


class RowFilter(SimpleListFilter):
    """Rows that refer to one row of `rows`. Links set it; the sidebar only offers to remove it."""

    rows: type[Model]
    column: str

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        value = self.value()
        return [(value, self.name_of(_uuid(value)))] if value else []

    def name_of(self, pk: UUID) -> str:
        row = self.rows._default_manager.filter(pk=pk).first()
        return getattr(row, "name", None) or str(row or pk)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(**{self.column: _uuid(value)}) if value else queryset


def row_filter(parameter: str, rows_of: type[Model], called: str = "") -> type[RowFilter]:
    """Make a filter on the column `parameter`, which contains ids of a model."""

    class Filter(RowFilter):
        title = called or rows_of._meta.verbose_name or parameter
        parameter_name = parameter
        column = parameter
        rows = rows_of

    return Filter


class VaultFilter(RowFilter):
    """Offers the first vaults by name, too. The list of vaults leads to the others."""

    title = "vault"
    parameter_name = column = "vault_id"
    rows = Vault

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        vaults = Vault.objects.filter(deleted_at__isnull=True).order_by("name", "pk")
        offered = {str(pk): name for pk, name in vaults.values_list("pk", "name")[:_VAULTS_OFFERED]}
        return (dict(super().lookups(request, model_admin)) | offered).items()


PrincipalFilter = row_filter("principal_id", Principal)


class Expiry(SimpleListFilter):
    title = "expires"
    parameter_name = "expires"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [
            ("week", "Within 7 days"),
            ("month", "Within 30 days"),
            ("quarter", "Within 90 days"),
            ("expired", "Expired"),
            ("never", "Never"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        if self.value() in _SOON:
            soon = now + timedelta(days=_SOON[str(self.value())])
            return self.where(queryset, Q(expires_at__gte=now, expires_at__lt=soon))
        if self.value() == "expired":
            return self.where(queryset, Q(expires_at__lt=now))
        if self.value() == "never":
            return self.where(queryset, Q(expires_at__isnull=True))
        return queryset

    def where(self, queryset: QuerySet[Any], condition: Q) -> QuerySet[Any]:
        return queryset.filter(condition)


class SecretExpiry(Expiry):
    """Filters by the expiry of the current version."""

    def where(self, queryset: QuerySet[Any], condition: Q) -> QuerySet[Any]:
        current = current_version_of_secret()
        return queryset.filter(Exists(current.filter(condition, destroyed_at__isnull=True)))


class SecretType(SimpleListFilter):
    """Filters by the type of the current version."""

    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(each, each.replace("_", " ")) for each in app_settings.SECRET_TYPES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        if queryset.model is SecretVersion:
            return queryset.filter(type=self.value())
        return queryset.filter(Exists(current_version_of_secret().filter(type=self.value())))


class SecretState(SimpleListFilter):
    """Hides deleted secrets unless they are asked for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [("living", "Not deleted"), ("disabled", "Disabled"), ("deleted", "Deleted")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "deleted":
            return queryset.filter(deleted_at__isnull=False)
        if self.value() == "living":
            return queryset.filter(deleted_at__isnull=True)
        if self.value() == "disabled":
            disabled = current_version_of_secret().filter(disabled_at__isnull=False)
            return queryset.filter(Exists(disabled), deleted_at__isnull=True)
        return queryset


class LastRead(SimpleListFilter):
    """Filters by the reads in the audit log; pruned events do not count."""

    title = "read"
    parameter_name = "read"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [
            ("never", "Never"),
            ("30", "Not in the last 30 days"),
            ("90", "Not in the last 90 days"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Secret]) -> QuerySet[Secret]:
        value = self.value()
        if value == "never":
            return unread(queryset)
        if value in ("30", "90"):
            return unread(queryset, since=timezone.now() - timedelta(days=int(value)))
        return queryset


class TimestampFilter(SimpleListFilter):
    """Filters by which timestamps are set, such as when a row was deleted.

    `marks` maps a value to its label and columns. A `-` before a column means that it is not set.
    """

    title = "state"
    parameter_name = "state"
    marks: dict[str, tuple[str, tuple[str, ...]]]

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(value, label) for value, (label, _) in self.marks.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        _, columns = self.marks.get(self.value() or "", ("", ()))
        return queryset.filter(
            **{f"{each.lstrip('-')}__isnull": each.startswith("-") for each in columns}
        )


class Age(SimpleListFilter):
    title = "age"
    parameter_name = "age"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [
            ("0-30", "Up to 30 days"),
            ("30-90", "30 to 90 days"),
            ("90", "Older than 90 days"),
            ("365", "Older than a year"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if not value:
            return queryset
        least, _, most = value.partition("-")
        queryset = queryset.filter(created_at__lte=_days_ago(least))
        return queryset.filter(created_at__gt=_days_ago(most)) if most else queryset


def _days_ago(days: str) -> datetime:
    try:
        return timezone.now() - timedelta(days=int(days))
    except (ValueError, OverflowError):
        raise IncorrectLookupParameters from None


def _uuid(value: str | None) -> UUID:
    try:
        return UUID(str(value))
    except ValueError:
        raise IncorrectLookupParameters from None

"""Show secrets and their versions."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from secrets_app.admin.acting import confirm_and_act
from secrets_app.admin.calendar import RisingCalendar
from secrets_app.admin.filters import (
    Expiry,
    LastRead,
    SecretExpiry,
    SecretState,
    SecretType,
    TimestampFilter,
    VaultFilter,
    row_filter,
)
from secrets_app.admin.read_only import ReadOnlyAdmin, related
from secrets_app.models import Secret, SecretVersion, VaultKey
from secrets_app.services.caller import Actor
from secrets_app.services.operations.overview.inventory import current_version_of_secret
from secrets_app.services.secrets import disable_any_version


@admin.register(Secret)
class SecretAdmin(ReadOnlyAdmin):
    list_display = (
        "path",
        "vault_link",
        "type",
        "current_version",
        "expires_at",
        "disabled_at",
        "deleted_at",
        "see_also",
    )
    list_filter = (SecretExpiry, SecretType, SecretState, LastRead, VaultFilter)
    list_select_related = ("vault",)
    search_fields = ("id", "path", "vault__name")
    date_hierarchy = "created_at"
    # This order has an index, and so have the only other sortable columns.
    ordering = ("vault_id", "path")
    sortable_by = ("path",)
    fields = (
        "id",
        "vault_link",
        "path",
        "type",
        "current_version",
        "expires_at",
        "disabled_at",
        "created_at",
        "deleted_at",
        "see_also",
    )
    readonly_fields = ("vault_link", "type", "expires_at", "disabled_at", "see_also")
    related_lists = (
        ("versions", "secretversion", "secret_id"),
        ("events", "auditevent", "resource_id"),
    )
    vault_link = related("vault", "name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        current = current_version_of_secret()
        secrets: QuerySet[Any] = super().get_queryset(request)
        annotated: QuerySet[Any] = secrets.annotate(
            current_type=Subquery(current.values("type")),
            current_expires_at=Subquery(current.values("expires_at")),
            current_disabled_at=Subquery(current.values("disabled_at")),
        )
        return annotated

    @admin.display(description="type")
    def type(self, row: Any) -> Any:
        return row.current_type

    @admin.display(description="expires at")
    def expires_at(self, row: Any) -> Any:
        return row.current_expires_at

    @admin.display(description="disabled at")
    def disabled_at(self, row: Any) -> Any:
        return row.current_disabled_at


class VersionState(TimestampFilter):
    marks = {
        "readable": ("Neither disabled nor destroyed", ("-disabled_at", "-destroyed_at")),
        "disabled": ("Disabled", ("disabled_at",)),
        "destroyed": ("Destroyed", ("destroyed_at",)),
    }


@admin.register(SecretVersion)
class SecretVersionAdmin(ReadOnlyAdmin):
    list_display = (
        "version",
        "vault_link",
        "type",
        "created_by_link",
        "created_at",
        "expires_at",
        "disabled_at",
        "destroyed_at",
    )
    list_filter = (
        Expiry,
        SecretType,
        VersionState,
        VaultFilter,
        row_filter("secret_id", Secret),
        row_filter("vault_key_id", VaultKey, "key"),
    )
    list_select_related = ("secret", "vault", "created_by", "vault_key")
    search_fields = ("id", "secret__path")
    date_hierarchy = "created_at"
    calendar = RisingCalendar
    ordering = ("-id",)
    sortable_by = ()
    fields = (
        "id",
        "secret_link",
        "vault_link",
        "number",
        "type",
        "metadata",
        "rotation_policy",
        "key_link",
        "created_by_link",
        "created_at",
        "expires_at",
        "max_access_count",
        "access_count",
        "disabled_at",
        "destroyed_at",
    )
    readonly_fields = ("secret_link", "vault_link", "key_link", "created_by_link")
    actions = ("disable",)
    secret_link = related("secret", "path")
    vault_link = related("vault", "name")
    created_by_link = related("created_by", "name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("value", "vault_key__wrapped")

    @admin.display(description="version")
    def version(self, row: SecretVersion) -> str:
        return f"{row.secret.path} v{row.number}"

    @admin.display(description="key")
    def key_link(self, row: SecretVersion) -> SafeString:
        return self.link(row.vault_key, f"v{row.vault_key.version} ({row.vault_key.state})")

    def has_disable_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("secrets_app.disable_secretversion")

    @admin.action(description="Disable the chosen versions", permissions=["disable"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return confirm_and_act(
            self, request, queryset, question="Disable these versions", act=_disable
        )


def _disable(version_id: UUID, actor: Actor) -> str:
    disable_any_version(version_id=version_id, actor=actor)
    return "disabled."

"""Show policies."""

from django.contrib import admin
from django.contrib.auth.models import Group
from django.utils.safestring import SafeString

from secrets_app.admin.filters import Expiry, PrincipalFilter, VaultFilter
from secrets_app.admin.read_only import ReadOnlyAdmin, related
from secrets_app.models import Policy


@admin.register(Policy)
class PolicyAdmin(ReadOnlyAdmin):
    list_display = (
        "pattern",
        "vault_link",
        "principal_link",
        "group_name",
        "effect",
        "allowed",
        "expires_at",
    )
    list_filter = ("effect", Expiry, VaultFilter, PrincipalFilter)
    list_select_related = ("vault", "principal", "group")
    search_fields = ("id", "pattern", "vault__name", "principal__name")
    date_hierarchy = "created_at"
    fields = (
        "id",
        "vault_link",
        "pattern",
        "principal_link",
        "group_name",
        "effect",
        "allowed",
        "conditions",
        "expires_at",
        "created_by_link",
        "created_at",
        "updated_at",
        "see_also",
    )
    readonly_fields = (
        "vault_link",
        "principal_link",
        "group_name",
        "allowed",
        "created_by_link",
        "see_also",
    )
    related_lists = (("events", "auditevent", "resource_id"),)
    vault_link = related("vault", "name")
    principal_link = related("principal", "name")
    created_by_link = related("created_by", "name")

    @admin.display(description="group")
    def group_name(self, row: Policy) -> SafeString | str | None:
        group: Group | None = row.group
        if group is None or not self.admin_site.is_registered(Group):
            return None if group is None else group.name
        return self.link(group, group.name)

    @admin.display(description="permissions")
    def allowed(self, row: Policy) -> str:
        return ", ".join(map(str, row.permissions))

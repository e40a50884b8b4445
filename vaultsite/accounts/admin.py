"""Show people and groups. `manage.py create_user` and `group` change them, with an event."""

from django.contrib import admin
from django.contrib.auth.models import Group
from django.utils.safestring import SafeString

from secrets_app.admin.read_only import ReadOnlyAdmin
from secrets_app.models import Principal
from vaultsite.accounts.models import User
from vaultsite.accounts.second_factor import is_set_up

admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(ReadOnlyAdmin):
    list_display = ("name", "members")
    search_fields = ("name",)
    fields = ("name", "members", "permissions")
    readonly_fields = ("members",)

    @admin.display(description="members")
    def members(self, row: Group) -> str:
        found = User.objects.filter(groups=row).order_by("email").values_list("email", flat=True)
        return ", ".join(found[:50])


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    list_display = (
        "email",
        "display_name",
        "is_active",
        "is_staff",
        "has_second_factor",
        "last_login",
        "principal_link",
    )
    list_filter = ("is_active", "is_staff", "is_superuser")
    list_select_related = ("principal",)
    search_fields = ("email", "display_name")
    date_hierarchy = "date_joined"
    ordering = ("email",)
    fields = (
        "id",
        "email",
        "display_name",
        "is_active",
        "is_staff",
        "is_superuser",
        "groups",
        "has_second_factor",
        "date_joined",
        "last_login",
        "principal_link",
    )
    readonly_fields = ("has_second_factor", "principal_link")

    @admin.display(description="second factor", boolean=True)
    def has_second_factor(self, row: User) -> bool:
        return is_set_up(row)

    @admin.display(description="principal")
    def principal_link(self, row: User) -> SafeString | None:
        try:
            return self.link(row.principal, row.principal.name or str(row.principal.pk))
        except Principal.DoesNotExist:
            return None

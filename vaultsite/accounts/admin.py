"""People and groups, to look at. They are made by `manage.py create_user`, which leaves an event."""

from django.contrib import admin
from django.contrib.auth.models import Group

from secrets_app.admin.read_only import ReadOnlyAdmin
from vaultsite.accounts.models import User

admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(ReadOnlyAdmin):
    search_fields = ("name",)


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    list_display = ("email", "display_name", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email", "display_name")
    ordering = ("email",)
    exclude = ("password",)

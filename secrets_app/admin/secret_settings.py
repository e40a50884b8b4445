"""What is set for secrets as a whole."""

from django.contrib import admin

from secrets_app.admin.read_only import ReadOnlyAdmin, related
from secrets_app.models import SecretSettings


@admin.register(SecretSettings)
class SecretSettingsAdmin(ReadOnlyAdmin):
    list_display = (
        "secret_link",
        "vault_link",
        "max_versions",
        "cas_required",
        "delete_version_after",
        "updated_at",
    )
    list_select_related = ("secret", "vault")
    search_fields = ("secret__path", "vault__name")
    ordering = ("-secret_id",)
    sortable_by = ()
    fields = (*list_display, "custom_metadata", "created_at")
    readonly_fields = ("secret_link", "vault_link")
    secret_link = related("secret", "path")
    vault_link = related("vault", "name")

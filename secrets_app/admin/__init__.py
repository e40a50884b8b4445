"""Django admin: every model to look at, none to change. Never a value, not even its ciphertext."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from secrets_app.models import (
    Agent,
    ApiKey,
    AuditEvent,
    AuditKey,
    AuditSeal,
    IdempotencyKey,
    Policy,
    Principal,
    RevokedToken,
    Secret,
    SecretVersion,
    Vault,
    VaultKey,
)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Changes go through services, which judge, seal and leave an event; a form would not."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Principal)
class PrincipalAdmin(ReadOnlyAdmin):
    list_display = ("id", "kind", "name", "is_active", "expires_at", "created_at")
    list_filter = ("kind", "is_active")
    search_fields = ("id", "name")


@admin.register(Agent)
class AgentAdmin(ReadOnlyAdmin):
    list_display = ("principal", "owner", "token_ttl_seconds")
    list_select_related = ("principal", "owner")
    search_fields = ("principal__id", "principal__name", "owner__name")


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ("id", "prefix", "name", "principal", "created_at", "expires_at", "revoked_at")
    list_select_related = ("principal",)
    search_fields = ("id", "name", "prefix", "principal__name")
    exclude = ("digest",)


@admin.register(RevokedToken)
class RevokedTokenAdmin(ReadOnlyAdmin):
    list_display = ("jti", "principal", "revoked_at", "expires_at")
    list_select_related = ("principal",)
    search_fields = ("jti", "principal__name")


@admin.register(Vault)
class VaultAdmin(ReadOnlyAdmin):
    list_display = ("id", "name", "owner", "created_at", "deleted_at")
    list_select_related = ("owner",)
    search_fields = ("id", "name", "owner__name")
    exclude = ("name_key",)


@admin.register(VaultKey)
class VaultKeyAdmin(ReadOnlyAdmin):
    list_display = ("id", "vault", "version", "state", "root_key_id", "created_at", "retired_at")
    list_filter = ("state", "root_key_id")
    list_select_related = ("vault",)
    search_fields = ("id", "vault__name", "root_key_id")
    exclude = ("wrapped",)


@admin.register(Secret)
class SecretAdmin(ReadOnlyAdmin):
    list_display = ("id", "vault", "path", "current_version", "created_at", "deleted_at")
    list_select_related = ("vault",)
    search_fields = ("id", "path", "vault__name")


@admin.register(SecretVersion)
class SecretVersionAdmin(ReadOnlyAdmin):
    list_display = ("id", "secret", "number", "type", "created_by", "created_at", "expires_at")
    list_filter = ("type",)
    list_select_related = ("secret", "created_by")
    search_fields = ("id", "secret__path")
    exclude = ("value",)


@admin.register(Policy)
class PolicyAdmin(ReadOnlyAdmin):
    list_display = ("id", "vault", "principal", "pattern", "permissions", "effect", "expires_at")
    list_filter = ("effect",)
    list_select_related = ("vault", "principal")
    search_fields = ("id", "pattern", "vault__name", "principal__name")


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    list_display = ("id", "principal", "status", "created_at")
    list_filter = ("status",)
    list_select_related = ("principal",)
    search_fields = ("id", "principal__name")
    exclude = ("key_digest", "request_digest", "claim")


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "action", "outcome", "actor_type", "actor_id", "resource_id")
    list_filter = ("action", "outcome")
    search_fields = ("id", "actor_id", "resource_id", "request_id")
    date_hierarchy = "created_at"
    ordering = ("-id",)
    exclude = ("mac",)


@admin.register(AuditSeal)
class AuditSealAdmin(ReadOnlyAdmin):
    list_display = ("number", "events", "first_at", "last_at", "exported_at", "pruned_at")
    search_fields = ("number",)
    ordering = ("-number",)
    exclude = ("previous", "root", "signature", "prune_signature")


@admin.register(AuditKey)
class AuditKeyAdmin(ReadOnlyAdmin):
    list_display = ("number", "root_key_id", "created_at")
    search_fields = ("number", "root_key_id")
    exclude = ("wrapped", "public_key")

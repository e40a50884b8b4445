"""Show vaults and their keys."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from secrets_app.admin.acting import confirm_and_act
from secrets_app.admin.filters import Age, TimestampFilter, VaultFilter, row_filter
from secrets_app.admin.read_only import ReadOnlyAdmin, related
from secrets_app.errors import Conflict
from secrets_app.models import Principal, Vault, VaultKey
from secrets_app.services.caller import Actor
from secrets_app.services.keys import rotate_vault

# About as many as can be done while a person waits.
_VAULTS_AT_ONCE = 5
_VALUES_MOVED_AT_ONCE = 5_000


class VaultState(TimestampFilter):
    marks = {
        "living": ("Not deleted", ("-deleted_at",)),
        "deleted": ("Deleted", ("deleted_at",)),
        "destroyed": ("Destroyed", ("destroyed_at",)),
    }


@admin.register(Vault)
class VaultAdmin(ReadOnlyAdmin):
    list_display = ("name", "owner_link", "created_at", "deleted_at", "see_also")
    list_filter = (VaultState, row_filter("owner_id", Principal, "owner"))
    list_select_related = ("owner",)
    search_fields = ("id", "name", "owner__name")
    date_hierarchy = "created_at"
    fields = (
        "id",
        "name",
        "description",
        "owner_link",
        "created_by_link",
        "created_at",
        "deleted_at",
        "destroyed_at",
        "see_also",
    )
    readonly_fields = ("owner_link", "created_by_link", "see_also")
    related_lists = (
        ("secrets", "secret", "vault_id"),
        ("policies", "policy", "vault_id"),
        ("keys", "vaultkey", "vault_id"),
        ("events", "auditevent", "vault_id"),
    )
    actions = ("rotate",)
    owner_link = related("owner", "name")
    created_by_link = related("created_by", "name")

    def has_rotate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("secrets_app.rotate_vault")

    @admin.action(description="Rotate the key of the chosen vaults", permissions=["rotate"])
    def rotate(self, request: HttpRequest, queryset: QuerySet[Vault]) -> HttpResponse | None:
        return confirm_and_act(
            self,
            request,
            queryset,
            question="Rotate the keys of these vaults",
            act=_rotate,
            most=_VAULTS_AT_ONCE,
        )


def _rotate(vault_id: UUID, actor: Actor) -> str:
    if Vault.objects.filter(pk=vault_id, destroyed_at__isnull=False).exists():
        raise Conflict("The vault is destroyed.")
    done = rotate_vault(
        vault_id=vault_id,
        older_than=None,
        most=_VALUES_MOVED_AT_ONCE,
        actor=actor,
        on_progress=lambda _: None,
    )
    if done.failed:
        raise Conflict("Something does not open and stayed as it was. See manage.py verify_vault.")
    new = "" if done.version is None else f"key {done.version} seals from now on; "
    moved = f"{new}{done.moved} values were moved."
    return moved if done.is_whole else f"{moved} Do it again, or run rotate_kek, to move the rest."


@admin.register(VaultKey)
class VaultKeyAdmin(ReadOnlyAdmin):
    list_display = ("key", "vault_link", "state", "created_at", "retired_at", "root_key_id")
    list_filter = (Age, "state", VaultFilter, "root_key_id")
    list_select_related = ("vault",)
    search_fields = ("id", "vault__name", "root_key_id")
    date_hierarchy = "created_at"
    fields = (
        "id",
        "vault_link",
        "version",
        "state",
        "root_key_id",
        "created_at",
        "retired_at",
        "see_also",
    )
    readonly_fields = ("vault_link", "see_also")
    related_lists = (
        ("versions sealed under it", "secretversion", "vault_key_id"),
        ("events", "auditevent", "resource_id"),
    )
    vault_link = related("vault", "name")

    @admin.display(description="key")
    def key(self, row: VaultKey) -> str:
        return f"{row.vault.name} v{row.version}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("wrapped")

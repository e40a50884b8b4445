from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from secrets_app.admin.acting import confirm_and_act
from secrets_app.admin.filters import Age, PrincipalFilter
from secrets_app.admin.read_only import ReadOnlyAdmin, related
from secrets_app.models import DeviceRequest, SignInSession
from secrets_app.services.caller import Actor
from secrets_app.services.identity import end_session_by_id


class SessionState(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("living", "Going on"), ("ended", "Ended")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        living = SignInSession.objects.living()
        if self.value() == "living":
            return queryset.filter(pk__in=living.values("pk"))
        if self.value() == "ended":
            return queryset.exclude(pk__in=living.values("pk"))
        return queryset


@admin.register(SignInSession)
class SignInSessionAdmin(ReadOnlyAdmin):
    list_display = (
        "who",
        "principal_link",
        "method",
        "client",
        "second_factor",
        "address",
        "created_at",
        "last_used_at",
        "expires_at",
        "goes_on",
    )
    list_filter = (SessionState, Age, PrincipalFilter)
    list_select_related = ("principal",)
    search_fields = ("id", "principal__name", "address")
    date_hierarchy = "created_at"
    fields = (
        "id",
        "principal_link",
        "method",
        "client",
        "second_factor",
        "address",
        "created_at",
        "last_used_at",
        "expires_at",
        "ended_at",
        "goes_on",
        "see_also",
    )
    readonly_fields = ("principal_link", "goes_on", "see_also")
    related_lists = (("events", "auditevent", "resource_id"),)
    actions = ("end",)
    principal_link = related("principal", "name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[SignInSession]:
        rows: QuerySet[SignInSession] = super().get_queryset(request)
        return rows.defer("handle_digest", "refresh_digest").annotate(
            generation_now=F("principal__token_generation")
        )

    @admin.display(description="session")
    def who(self, row: SignInSession) -> str:
        return f"{row.principal.name} {str(row.pk)[-4:]}"

    @admin.display(description="goes on", boolean=True)
    def goes_on(self, row: Any) -> bool:
        is_living = row.ended_at is None and row.expires_at > timezone.now()
        return bool(is_living and row.token_generation == row.generation_now)

    def has_end_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("secrets_app.end_signinsession")

    @admin.action(description="End the chosen sessions", permissions=["end"])
    def end(self, request: HttpRequest, queryset: QuerySet[SignInSession]) -> HttpResponse | None:
        return confirm_and_act(self, request, queryset, question="End these sessions", act=_end)


@admin.register(DeviceRequest)
class DeviceRequestAdmin(ReadOnlyAdmin):
    list_display = (
        "client_id",
        "state",
        "decided_by_link",
        "address",
        "created_at",
        "expires_at",
    )
    list_filter = ("state", Age)
    list_select_related = ("decided_by",)
    search_fields = ("id", "client_id", "address", "decided_by__name")
    date_hierarchy = "created_at"
    fields = (
        "id",
        "client_id",
        "state",
        "is_bound",
        "address",
        "created_at",
        "expires_at",
        "decided_by_link",
        "decided_at",
        "second_factor",
        "see_also",
    )
    readonly_fields = ("decided_by_link", "see_also")
    related_lists = (("events", "auditevent", "resource_id"),)
    decided_by_link = related("decided_by", "name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeviceRequest]:
        rows: QuerySet[DeviceRequest] = super().get_queryset(request)
        return rows.defer("device_digest", "user_code_digest")


def _end(session_id: UUID, actor: Actor) -> str:
    end_session_by_id(session_id=session_id, principal_id=None, actor=actor)
    return "ended, with its tokens."

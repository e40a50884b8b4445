"""Show principals, agents, API keys and tokens that were ended early."""

from uuid import UUID

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from secrets_app.admin.acting import confirm_and_act
from secrets_app.admin.filters import Age, Expiry, PrincipalFilter, TimestampFilter, row_filter
from secrets_app.admin.read_only import ReadOnlyAdmin, related
from secrets_app.models import Agent, ApiKey, Principal, RevokedToken
from secrets_app.services.caller import Actor
from secrets_app.services.identity import (
    deactivate_agent,
    end_tokens,
    hand_over_agent,
    principal_for_user,
    revoke_api_key,
)


@admin.register(Principal)
class PrincipalAdmin(ReadOnlyAdmin):
    list_display = ("name", "kind", "is_active", "expires_at", "created_at", "see_also")
    list_filter = ("kind", "is_active", Expiry)
    search_fields = ("id", "name")
    date_hierarchy = "created_at"
    fields = ("id", "kind", "name", "user", "is_active", "expires_at", "created_at", "see_also")
    readonly_fields = ("see_also",)
    related_lists = (
        ("keys", "apikey", "principal_id"),
        ("sessions", "signinsession", "principal_id"),
        ("policies", "policy", "principal_id"),
        ("vaults", "vault", "owner_id"),
        ("agents", "agent", "owner_id"),
        ("events by it", "auditevent", "actor_id"),
        ("events about it", "auditevent", "resource_id"),
    )
    actions = ("end_tokens",)

    def has_end_tokens_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("secrets_app.end_tokens_principal")

    @admin.action(description="End all tokens of the chosen principals", permissions=["end_tokens"])
    def end_tokens(
        self, request: HttpRequest, queryset: QuerySet[Principal]
    ) -> HttpResponse | None:
        return confirm_and_act(
            self, request, queryset, question="End all tokens of these principals", act=_end_tokens
        )


def _end_tokens(principal_id: UUID, actor: Actor) -> str:
    end_tokens(principal_id=principal_id, actor=actor)
    return "all tokens are ended."


class NewOwnerForm(forms.Form):
    """Who gets agents: a person, by what they sign in with."""

    to = forms.CharField(max_length=254, label="New owner, by what they sign in with")

    def clean_to(self) -> AbstractBaseUser:
        model = get_user_model()
        named = {model.USERNAME_FIELD: self.cleaned_data["to"]}
        user: AbstractBaseUser | None = model._default_manager.filter(**named).first()
        if user is None:
            raise forms.ValidationError("There is no such person.")
        return user


@admin.register(Agent)
class AgentAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "owner_link",
        "is_active",
        "expires_at",
        "token_ttl_seconds",
        "see_also",
    )
    list_filter = ("principal__is_active", row_filter("owner_id", Principal, "owner"))
    list_select_related = ("principal", "owner")
    search_fields = ("principal__id", "principal__name", "owner__name")
    date_hierarchy = "principal__created_at"
    fields = (
        "principal_link",
        "owner_link",
        "description",
        "is_active",
        "expires_at",
        "token_ttl_seconds",
        "vault_ids",
        "see_also",
    )
    readonly_fields = ("principal_link", "owner_link", "is_active", "expires_at", "see_also")
    related_lists = (
        ("keys", "apikey", "principal_id"),
        ("policies", "policy", "principal_id"),
        ("events by it", "auditevent", "actor_id"),
        ("events about it", "auditevent", "resource_id"),
    )
    actions = ("deactivate", "hand_over")
    principal_link = related("principal", "name")
    owner_link = related("owner", "name")

    @admin.display(description="agent")
    def name(self, row: Agent) -> str:
        return row.principal.name or str(row.pk)

    @admin.display(description="active", boolean=True)
    def is_active(self, row: Agent) -> bool:
        return row.principal.is_active

    @admin.display(description="expires at")
    def expires_at(self, row: Agent) -> object:
        return row.principal.expires_at

    def has_deactivate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("secrets_app.deactivate_agent")

    @admin.action(description="Deactivate the chosen agents", permissions=["deactivate"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Agent]) -> HttpResponse | None:
        return confirm_and_act(
            self, request, queryset, question="Deactivate these agents", act=_deactivate
        )

    def has_hand_over_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("secrets_app.hand_over_agent")

    @admin.action(
        description="Hand the chosen agents over to another person", permissions=["hand_over"]
    )
    def hand_over(self, request: HttpRequest, queryset: QuerySet[Agent]) -> HttpResponse | None:
        form = NewOwnerForm(request.POST if "confirmed" in request.POST else None)

        def act(agent_id: UUID, actor: Actor) -> str:
            to = principal_for_user(form.cleaned_data["to"])
            hand_over_agent(agent_id=agent_id, to=to, actor=actor)
            return f"belongs to {to.name} now, with keys and policies as they were."

        return confirm_and_act(
            self, request, queryset, question="Hand these agents over", act=act, form=form
        )


def _deactivate(agent_id: UUID, actor: Actor) -> str:
    deactivate_agent(agent_id=agent_id, owner_id=None, actor=actor)
    return "deactivated, with its keys and tokens."


class KeyState(TimestampFilter):
    marks = {
        "valid": ("Not revoked", ("-revoked_at",)),
        "revoked": ("Revoked", ("revoked_at",)),
        "unused": ("Never used", ("-last_used_at",)),
    }


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = (
        "prefix",
        "name",
        "principal_link",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    list_filter = (Age, KeyState, Expiry, PrincipalFilter)
    list_select_related = ("principal",)
    search_fields = ("id", "name", "prefix", "principal__name")
    date_hierarchy = "created_at"
    fields = (
        "id",
        "prefix",
        "name",
        "principal_link",
        "parent_link",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
        "see_also",
    )
    readonly_fields = ("principal_link", "parent_link", "see_also")
    related_lists = (
        ("keys made with it", "apikey", "parent_id"),
        ("events", "auditevent", "resource_id"),
    )
    actions = ("revoke",)
    principal_link = related("principal", "name")
    parent_link = related("parent", label="made with")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        keys: QuerySet[ApiKey] = super().get_queryset(request).defer("digest")
        return keys

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("secrets_app.revoke_apikey")

    @admin.action(description="Revoke the chosen keys", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse | None:
        return confirm_and_act(self, request, queryset, question="Revoke these keys", act=_revoke)


def _revoke(key_id: UUID, actor: Actor) -> str:
    others = revoke_api_key(key_id=key_id, principal_id=None, actor=actor)
    return "revoked, with its tokens" + (f" and {others} keys made with it." if others else ".")


@admin.register(RevokedToken)
class RevokedTokenAdmin(ReadOnlyAdmin):
    list_display = ("jti", "principal_link", "revoked_at", "expires_at")
    list_filter = (Expiry, PrincipalFilter)
    list_select_related = ("principal",)
    search_fields = ("jti", "principal__name")
    date_hierarchy = "revoked_at"
    fields = ("jti", "principal_link", "revoked_at", "expires_at")
    readonly_fields = ("principal_link",)
    principal_link = related("principal", "name")

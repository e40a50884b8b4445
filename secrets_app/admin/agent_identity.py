"""Show which tokens of other issuers may sign in as agents, and which sign-ins there were."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from secrets_app.admin.filters import Expiry, row_filter
from secrets_app.admin.read_only import ReadOnlyAdmin, related
from secrets_app.models import Agent, AgentIdentity, AssertionUse, Principal


@admin.register(AgentIdentity)
class AgentIdentityAdmin(ReadOnlyAdmin):
    list_display = ("name", "agent_link", "issuer", "audience", "created_at", "see_also")
    list_filter = ("single_use", Expiry, row_filter("agent_id", Principal, "agent"))
    list_select_related = ("agent__principal",)
    search_fields = ("id", "name", "issuer", "agent__principal__name")
    date_hierarchy = "created_at"
    fields = (
        "id",
        "name",
        "agent_link",
        "issuer",
        "audience",
        "claims",
        "jwks_url",
        "jwks",
        "max_age_seconds",
        "single_use",
        "parent_link",
        "created_at",
        "expires_at",
        "see_also",
    )
    readonly_fields = ("agent_link", "parent_link", "see_also")
    related_lists = (
        ("sign-ins", "assertionuse", "identity_id"),
        ("events", "auditevent", "resource_id"),
    )
    parent_link = related("parent", label="made with")

    @admin.display(description="agent")
    def agent_link(self, row: AgentIdentity) -> SafeString:
        return _link_to_agent(self, row.agent)


@admin.register(AssertionUse)
class AssertionUseAdmin(ReadOnlyAdmin):
    list_display = ("id", "agent_link", "identity_link", "token_expires_at", "expires_at")
    list_filter = (Expiry, row_filter("identity_id", AgentIdentity, "identity"))
    list_select_related = ("agent__principal", "identity")
    search_fields = ("id", "agent__principal__name", "token_jti")
    date_hierarchy = "token_expires_at"
    fields = ("id", "agent_link", "identity_link", "token_jti", "token_expires_at", "expires_at")
    readonly_fields = ("agent_link", "identity_link")
    identity_link = related("identity", "name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("assertion_digest")

    @admin.display(description="agent")
    def agent_link(self, row: AssertionUse) -> SafeString:
        return _link_to_agent(self, row.agent)


def _link_to_agent(page: ReadOnlyAdmin, agent: Agent) -> SafeString:
    return page.link(agent, agent.principal.name or str(agent.pk))

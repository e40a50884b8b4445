"""Routes of the wire contract. The router knows one thing Django's do not: paths of many segments."""

from django.urls import include, path, re_path
from rest_framework.routers import Route, SimpleRouter

from secrets_app.api.views.account import AccountViewSet, ApiKeyViewSet
from secrets_app.api.views.agent_identities import AgentIdentityViewSet
from secrets_app.api.views.agents import AgentViewSet
from secrets_app.api.views.audit import AuditViewSet
from secrets_app.api.views.auth import AuthViewSet, WellKnownViewSet
from secrets_app.api.views.base import UnknownRoute
from secrets_app.api.views.batches import BatchViewSet
from secrets_app.api.views.devices import DeviceApprovalViewSet, DeviceViewSet
from secrets_app.api.views.health import HealthViewSet
from secrets_app.api.views.openapi import OpenApiViewSet
from secrets_app.api.views.passkeys import PasskeyViewSet
from secrets_app.api.views.policies import PolicyViewSet
from secrets_app.api.views.second_factor import SecondFactorViewSet
from secrets_app.api.views.secrets import SecretViewSet
from secrets_app.api.views.sessions import SessionViewSet
from secrets_app.api.views.settings import SettingsViewSet
from secrets_app.api.views.vaults import VaultViewSet
from secrets_app.api.views.versions import VersionViewSet

app_name = "secrets_app"


# Any text, so that a path that breaks the rule is a 400 and not an unknown route. Routes end in `\\Z`,
# since `$` would let a newline at the end slip through unseen.
_PATH = r"(?P<path>[\s\S]*)"
_VAULT = r"vaults/(?P<vault_id>[^/]+)"


class SecretRouter(SimpleRouter):
    """`prefix/<path>` with everything after the prefix as the path, slashes and all."""

    routes = [
        Route(
            url=r"^{prefix}\Z",
            mapping={"get": "list"},
            name="{basename}-list",
            detail=False,
            initkwargs={},
        ),
        Route(
            url=rf"^{{prefix}}/{_PATH}\Z",
            mapping={
                "get": "retrieve",
                "head": "describe",
                "put": "update",
                "delete": "destroy",
            },
            name="{basename}",
            detail=True,
            initkwargs={},
        ),
    ]


secrets = SecretRouter(trailing_slash=False)
secrets.register(rf"{_VAULT}/secrets", SecretViewSet, basename="secret")

# Routes are tried in their order: those that are asked most come first.
v1 = [
    *secrets.urls,
    path("openapi.json", OpenApiViewSet.as_view({"get": "document"}), name="openapi"),
    path("health", HealthViewSet.as_view({"get": "service"}), name="health"),
    path("health/hsm", HealthViewSet.as_view({"get": "providers"}), name="health-hsm"),
    path(
        "auth/token",
        AuthViewSet.as_view({"post": "with_password", "delete": "revoke"}),
        name="token",
    ),
    path("auth/api-key-token", AuthViewSet.as_view({"post": "with_api_key"}), name="api-key-token"),
    path("auth/agent-token", AuthViewSet.as_view({"post": "with_agent_key"}), name="agent-token"),
    path("auth/refresh", AuthViewSet.as_view({"post": "refresh"}), name="refresh"),
    path(
        "auth/sessions",
        SessionViewSet.as_view({"get": "list", "delete": "destroy_all"}),
        name="sessions",
    ),
    path("auth/sessions/<item_id>", SessionViewSet.as_view({"delete": "destroy"}), name="session"),
    path("auth/device/code", DeviceViewSet.as_view({"post": "start"}), name="device-code"),
    path("auth/device/token", DeviceViewSet.as_view({"post": "poll"}), name="device-token"),
    path(
        "auth/device/details",
        DeviceApprovalViewSet.as_view({"post": "look"}),
        name="device-details",
    ),
    path(
        "auth/device/approve",
        DeviceApprovalViewSet.as_view({"post": "approve"}),
        name="device-approve",
    ),
    path("auth/device/deny", DeviceApprovalViewSet.as_view({"post": "deny"}), name="device-deny"),
    path("auth/mfa/verify", SecondFactorViewSet.as_view({"post": "verify"}), name="mfa-verify"),
    path("auth/mfa/status", SecondFactorViewSet.as_view({"get": "status"}), name="mfa-status"),
    path("auth/mfa/setup", SecondFactorViewSet.as_view({"post": "begin_setup"}), name="mfa-setup"),
    path(
        "auth/mfa/verify-setup",
        SecondFactorViewSet.as_view({"post": "complete_setup"}),
        name="mfa-verify-setup",
    ),
    path("auth/mfa", SecondFactorViewSet.as_view({"delete": "destroy"}), name="mfa"),
    path("auth/passkeys", PasskeyViewSet.as_view({"get": "list"}), name="passkeys"),
    path(
        "auth/passkeys/register/begin",
        PasskeyViewSet.as_view({"post": "register_begin"}),
        name="passkey-register-begin",
    ),
    path(
        "auth/passkeys/register/complete",
        PasskeyViewSet.as_view({"post": "register_complete"}),
        name="passkey-register-complete",
    ),
    path(
        "auth/passkeys/assert/begin",
        PasskeyViewSet.as_view({"post": "assert_begin"}),
        name="passkey-assert-begin",
    ),
    path(
        "auth/passkeys/assert/complete",
        PasskeyViewSet.as_view({"post": "assert_complete"}),
        name="passkey-assert-complete",
    ),
    path("auth/passkeys/<item_id>", PasskeyViewSet.as_view({"delete": "destroy"}), name="passkey"),
    path("auth/me", AccountViewSet.as_view({"get": "me", "patch": "rename"}), name="me"),
    path(
        "auth/change-password",
        AccountViewSet.as_view({"post": "change_password"}),
        name="change-password",
    ),
    path(
        "auth/jwt-public-key",
        WellKnownViewSet.as_view({"get": "public_key"}),
        name="jwt-public-key",
    ),
    path(
        "auth/api-keys", ApiKeyViewSet.as_view({"get": "list", "post": "create"}), name="api-keys"
    ),
    path("auth/api-keys/<item_id>", ApiKeyViewSet.as_view({"delete": "destroy"}), name="api-key"),
    path("agents", AgentViewSet.as_view({"get": "list", "post": "create"}), name="agents"),
    path("agents/me", AgentViewSet.as_view({"get": "me"}), name="agent-me"),
    path(
        "agents/<item_id>",
        AgentViewSet.as_view({"get": "retrieve", "patch": "update", "delete": "destroy"}),
        name="agent",
    ),
    path(
        "agents/<item_id>/rotate-key",
        AgentViewSet.as_view({"post": "rotate_key"}),
        name="agent-rotate-key",
    ),
    path(
        "agents/<agent_id>/identities",
        AgentIdentityViewSet.as_view({"get": "list", "post": "create"}),
        name="agent-identities",
    ),
    path(
        "agents/<agent_id>/identities/<item_id>",
        AgentIdentityViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
        name="agent-identity",
    ),
    path("audit/events", AuditViewSet.as_view({"get": "list"}), name="audit-events"),
    path(
        "audit/events/<item_id>/proof", AuditViewSet.as_view({"get": "prove"}), name="audit-proof"
    ),
    path("audit/verify", AuditViewSet.as_view({"get": "verify"}), name="audit-verify"),
    path("vaults", VaultViewSet.as_view({"get": "list", "post": "create"}), name="vaults"),
    path(
        "vaults/<vault_id>",
        VaultViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
        name="vault",
    ),
    path(
        "vaults/<vault_id>/policies",
        PolicyViewSet.as_view({"get": "list", "post": "create"}),
        name="policies",
    ),
    path(
        "vaults/<vault_id>/policies/<item_id>",
        PolicyViewSet.as_view({"put": "update", "delete": "destroy"}),
        name="policy",
    ),
    path("vaults/<vault_id>/access", PolicyViewSet.as_view({"get": "explain"}), name="access"),
    path(
        "vaults/<vault_id>/secrets:batchRead",
        BatchViewSet.as_view({"post": "read"}),
        name="batch-read",
    ),
    path(
        "vaults/<vault_id>/secrets:batchWrite",
        BatchViewSet.as_view({"post": "write"}),
        name="batch-write",
    ),
    re_path(
        rf"^{_VAULT}/secret-rotate/{_PATH}\Z",
        SecretViewSet.as_view({"post": "rotate"}),
        name="secret-rotate",
    ),
    re_path(
        rf"^{_VAULT}/secret-undelete/{_PATH}\Z",
        SecretViewSet.as_view({"post": "undelete"}),
        name="secret-undelete",
    ),
    re_path(
        rf"^{_VAULT}/secret-versions/{_PATH}\Z",
        VersionViewSet.as_view({"get": "list"}),
        name="secret-versions",
    ),
    re_path(
        rf"^{_VAULT}/secret-version/{_PATH}/(?P<number>[^/]*)\Z",
        VersionViewSet.as_view({"get": "retrieve", "head": "describe"}),
        name="secret-version",
    ),
    re_path(
        rf"^{_VAULT}/secret-version-disable/{_PATH}/(?P<number>[^/]*)\Z",
        VersionViewSet.as_view({"post": "disable"}),
        name="secret-version-disable",
    ),
    re_path(
        rf"^{_VAULT}/secret-version-enable/{_PATH}/(?P<number>[^/]*)\Z",
        VersionViewSet.as_view({"post": "enable"}),
        name="secret-version-enable",
    ),
    re_path(
        rf"^{_VAULT}/secret-settings/{_PATH}\Z",
        SettingsViewSet.as_view({"get": "retrieve", "put": "update"}),
        name="secret-settings",
    ),
    re_path(r"", UnknownRoute.as_view({"get": "missing"}), name="unknown"),
]

urlpatterns = [
    path("v1/", include(v1)),
    path(
        ".well-known/openid-configuration",
        WellKnownViewSet.as_view({"get": "configuration"}),
        name="openid-configuration",
    ),
    path(".well-known/jwks.json", WellKnownViewSet.as_view({"get": "signing_keys"}), name="jwks"),
]

"""Routes of the wire contract. The router knows one thing Django's do not: paths of many segments."""

from django.urls import include, path, re_path
from rest_framework.routers import Route, SimpleRouter

from secrets_app.api.views.auth import AuthViewSet, WellKnownViewSet
from secrets_app.api.views.base import UnknownRoute
from secrets_app.api.views.health import HealthViewSet
from secrets_app.api.views.openapi import OpenApiView
from secrets_app.api.views.secrets import SecretViewSet
from secrets_app.api.views.vaults import VaultViewSet

app_name = "secrets_app"


class SecretRouter(SimpleRouter):
    """`prefix/<path>` with everything after the prefix as the path, slashes and all.

    The route takes any text, so that a path that breaks the rule is a 400 and not an unknown route;
    `\\Z`, since `$` would let a newline at the end slip through unseen.
    """

    routes = [
        Route(
            url=r"^{prefix}/(?P<path>[\s\S]*)\Z",
            mapping={"get": "retrieve", "head": "describe", "put": "update"},
            name="{basename}",
            detail=True,
            initkwargs={},
        )
    ]


secrets = SecretRouter(trailing_slash=False)
secrets.register(r"vaults/(?P<vault_id>[^/]+)/secrets", SecretViewSet, basename="secret")

v1 = [
    path("openapi.json", OpenApiView.as_view(), name="openapi"),
    path("health", HealthViewSet.as_view({"get": "service"}), name="health"),
    path(
        "auth/token",
        AuthViewSet.as_view({"post": "with_password", "delete": "revoke"}),
        name="token",
    ),
    path("auth/api-key-token", AuthViewSet.as_view({"post": "with_api_key"}), name="api-key-token"),
    path("vaults", VaultViewSet.as_view({"get": "list", "post": "create"}), name="vaults"),
    path("vaults/<vault_id>", VaultViewSet.as_view({"get": "retrieve"}), name="vault"),
    *secrets.urls,
    re_path(r"", UnknownRoute.as_view({"get": "missing"}), name="unknown"),
]

urlpatterns = [
    path("v1/", include(v1)),
    path(".well-known/jwks.json", WellKnownViewSet.as_view({"get": "signing_keys"}), name="jwks"),
]

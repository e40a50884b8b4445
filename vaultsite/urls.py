from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny

from vaultsite.accounts.device_page import device_page
from vaultsite.accounts.views import admin_sign_in
from vaultsite.metrics import metrics
from vaultsite.pages.views import home
from vaultsite.probes import livez, readyz

urlpatterns = [
    path("", home, name="home"),
    path("", include("secrets_app.api.urls")),
    *([path("vault/", include("secrets_app.vault_api.urls"))] if settings.VAULT_DOOR else []),
    path(
        "docs",
        SpectacularSwaggerSplitView.as_view(
            url_name="secrets_app:openapi",
            authentication_classes=(),
            permission_classes=(AllowAny,),
        ),
        name="docs",
    ),
    path("metrics", metrics, name="metrics"),
    path("livez", livez, name="livez"),
    path("readyz", readyz, name="readyz"),
    path("accounts/", include("vaultsite.accounts.urls")),
    path("device", device_page, name="device"),
    path("accounts/", include("vaultsite.oidc.urls")),
    path("admin/login/", admin_sign_in, name="sign-in"),
    path(
        "admin/password_change/",
        RedirectView.as_view(pattern_name="account_change_password"),
        name="own-password",
    ),
    path("admin/", admin.site.urls),
]

# For failures before a view is reached. Outside the doors these give the pages of `vaultsite.pages`.
handler400 = "vaultsite.failures.bad_request"
handler403 = "secrets_app.api.problems.permission_denied"
handler404 = "vaultsite.failures.page_not_found"
handler500 = "vaultsite.failures.server_error"

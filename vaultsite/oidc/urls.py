from django.urls import path

from vaultsite.oidc import views

urlpatterns = [
    path("oidc/<slug:provider_id>/start/", views.start, name="oidc_start"),
    path("oidc/<slug:provider_id>/callback/", views.callback, name="oidc_callback"),
]

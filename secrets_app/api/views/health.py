from django.db import DatabaseError
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.permissions import Access
from secrets_app.api.schema import operation
from secrets_app.api.views.base import ApiViewSet
from secrets_app.http.version import VERSION
from secrets_app.services.audit import audit_health
from secrets_app.services.keys import provider_status


class HealthSerializer(serializers.Serializer):  # type: ignore[type-arg]
    status = serializers.ChoiceField(choices=["healthy", "degraded"])
    version = serializers.CharField()


class ProviderHealthSerializer(serializers.Serializer):  # type: ignore[type-arg]
    status = serializers.ChoiceField(choices=["ok", "degraded", "unavailable"])


class HealthViewSet(ApiViewSet):
    tag = "Health"
    access = {"service": Access.PUBLIC, "providers": Access.PUBLIC}

    @operation(summary="Whether the service can work", responses={200: HealthSerializer})
    def service(self, request: Request) -> Response:
        """Always 200; `degraded` when the database does not answer, when audit events cannot be written,
        or when they are not sealed in time."""
        return Response({"status": _status(), "version": VERSION})

    @operation(summary="Whether root keys can be used", responses={200: ProviderHealthSerializer})
    def providers(self, request: Request) -> Response:
        """Always 200; `unavailable` when the active root key's provider cannot be used, `degraded`
        when that of an older root key cannot. At most five seconds old."""
        return Response({"status": provider_status()})


def _status() -> str:
    try:
        return "healthy" if audit_health().is_well else "degraded"
    except DatabaseError:
        return "degraded"

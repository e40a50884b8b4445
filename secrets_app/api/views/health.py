from importlib.metadata import PackageNotFoundError, version

from django.db import DatabaseError, connection
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.permissions import Access
from secrets_app.api.schema import operation
from secrets_app.api.views.base import ApiViewSet


class HealthSerializer(serializers.Serializer):  # type: ignore[type-arg]
    status = serializers.ChoiceField(choices=["healthy", "degraded"])
    version = serializers.CharField()


class HealthViewSet(ApiViewSet):
    tag = "Health"
    access = {"service": Access.PUBLIC}

    @operation(summary="Whether the service can work", responses={200: HealthSerializer})
    def service(self, request: Request) -> Response:
        """Always 200; `degraded` when the database does not answer."""
        return Response({"status": _status(), "version": _VERSION})


def _status() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "degraded"
    return "healthy"


def _version() -> str:
    try:
        return version("vaultsite")
    except PackageNotFoundError:
        return "dev"


_VERSION = _version()

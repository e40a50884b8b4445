from typing import Any

from drf_spectacular.generators import SchemaGenerator
from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.permissions import Access
from secrets_app.api.views.base import ApiViewSet


class OpenApiViewSet(ApiViewSet):
    """The document of this app's routes alone, whatever else the host project serves."""

    access = {"document": Access.PUBLIC}
    schema = None  # type: ignore[assignment]

    def document(self, request: Request) -> Response:
        generator: Any = SchemaGenerator(urlconf="secrets_app.api.urls")  # type: ignore[no-untyped-call]
        return Response(generator.get_schema(request=None, public=True))

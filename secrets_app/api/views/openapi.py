from typing import Any

from drf_spectacular.generators import SchemaGenerator
from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.links import add_links
from secrets_app.api.permissions import Access
from secrets_app.api.views.base import ApiViewSet
from secrets_app.api.views.secrets import SecretViewSet
from secrets_app.api.views.versions import VersionViewSet


class OpenApiViewSet(ApiViewSet):
    """The document of this app's routes alone, whatever else the host project serves."""

    access = {"document": Access.PUBLIC}
    schema = None  # type: ignore[assignment]

    def document(self, request: Request) -> Response:
        return Response(openapi_document())


def openapi_document() -> dict[str, Any]:
    """Return an OpenAPI 3.1 document of every route."""
    generator: Any = SchemaGenerator(urlconf="secrets_app.api.urls")  # type: ignore[no-untyped-call]
    document: dict[str, Any] = generator.get_schema(request=None, public=True)
    _add_head(document)
    add_links(document)
    return document


def _add_head(document: dict[str, Any]) -> None:
    """HEAD where it is an action of its own; drf-spectacular leaves that method out.

    It answers as GET does, without a body and without revealing anything.
    """
    for view in (SecretViewSet, VersionViewSet):
        for item in document["paths"].values():
            read = item.get("get", {})
            if read.get("operationId") == f"{view.tag.lower()}_retrieve":
                item["head"] = _head_of(read)


def _head_of(read: dict[str, Any]) -> dict[str, Any]:
    answers = {
        status: {name: what for name, what in answer.items() if name != "content"}
        for status, answer in read["responses"].items()
        if status != "304"
    }
    answers["200"]["headers"] = {"ETag": answers["200"]["headers"]["ETag"]}
    return read | {
        "operationId": read["operationId"].replace("retrieve", "describe"),
        "summary": "Whether GET would answer",
        "description": "Reveals nothing and spends no access.",
        "parameters": [each for each in read["parameters"] if each["in"] == "path"],
        "responses": answers,
    }

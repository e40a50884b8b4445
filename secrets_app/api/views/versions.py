from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.headers import known_versions
from secrets_app.api.schema import (
    ETAG,
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    NUMBER,
    PATH,
    UNCACHED,
    VAULT_ID,
    operation,
    problems,
)
from secrets_app.api.serializers.base import require_empty_body
from secrets_app.api.serializers.queries import VersionsQuerySerializer, query_of
from secrets_app.api.serializers.secrets import (
    RevealedSecretSerializer,
    SecretSerializer,
    SecretVersionListSerializer,
    SecretVersionSerializer,
)
from secrets_app.api.views.base import ApiViewSet
from secrets_app.api.views.secrets import etag, show
from secrets_app.policy.decision import Permission
from secrets_app.services.secrets import (
    describe_secret,
    disable_version,
    enable_versions,
    list_versions,
)
from secrets_app.services.secrets.reveal import reveal_secret
from secrets_app.services.transactions.idempotency import Answer


class VersionViewSet(ApiViewSet):
    """Versions are judged like the secret they belong to."""

    tag = "Versions"
    access = {
        "list": Permission.READ,
        "retrieve": Permission.READ,
        "describe": Permission.READ,
        "disable": Permission.WRITE,
        "enable": Permission.WRITE,
    }

    @operation(
        summary="List the versions of a secret",
        parameters=[VAULT_ID, PATH, VersionsQuerySerializer],
        responses={200: SecretVersionListSerializer} | problems(400, 401, 403, 404, 500),
    )
    def list(self, request: Request, vault_id: UUID, path: str) -> Response:
        """List them, newest first, without values."""
        query = query_of(request, VersionsQuerySerializer)
        versions = list_versions(
            caller=self.caller,
            vault_id=vault_id,
            path=path,
            before=query["before"],
            limit=query["limit"],
        )
        body: dict[str, Any] = {"versions": SecretVersionSerializer(versions, many=True).data}
        if versions and versions[-1].number > 1 and len(versions) == query["limit"]:
            body["next_cursor"] = str(versions[-1].number)
        return Response(body)

    @operation(
        summary="Read one version",
        parameters=[VAULT_ID, PATH, NUMBER, IF_NONE_MATCH, ETAG, UNCACHED],
        responses={200: RevealedSecretSerializer, 304: None}
        | problems(400, 401, 403, 404, 410, 500),
    )
    def retrieve(self, request: Request, vault_id: UUID, path: str, number: int) -> Response:
        """Return it with its value. Spends one of this version's accesses where they are counted."""
        revealed = reveal_secret(
            caller=self.caller,
            vault_id=vault_id,
            path=path,
            number=number,
            is_known=known_versions(request),
        )
        return show(revealed)

    def describe(self, request: Request, vault_id: UUID, path: str, number: int) -> Response:
        """HEAD: whether GET would answer. Reveals nothing and spends no access."""
        version = describe_secret(caller=self.caller, vault_id=vault_id, path=path, number=number)
        return Response(SecretSerializer.show(version), headers=etag(version))

    @operation(
        summary="Disable a version",
        parameters=[VAULT_ID, PATH, NUMBER, IDEMPOTENCY_KEY],
        request=None,
        responses={204: None} | problems(400, 401, 403, 404, 409, 422, 500),
    )
    def disable(self, request: Request, vault_id: UUID, path: str, number: int) -> Response:
        """It cannot be read any more, and stays in the list."""
        require_empty_body(request)
        return self.once(
            request,
            lambda once: disable_version(
                caller=self.caller, vault_id=vault_id, path=path, number=number, once=once
            ),
            lambda _: Answer(204),
        )

    @operation(
        summary="Enable a version again",
        parameters=[VAULT_ID, PATH, NUMBER, IDEMPOTENCY_KEY],
        request=None,
        responses={204: None} | problems(400, 401, 403, 404, 409, 410, 422, 500),
    )
    def enable(self, request: Request, vault_id: UUID, path: str, number: int) -> Response:
        """One that was disabled can be read again; one that has expired cannot."""
        require_empty_body(request)
        return self.once(
            request,
            lambda once: enable_versions(
                caller=self.caller,
                vault_id=vault_id,
                path=path,
                numbers=[number],
                must_exist=True,
                once=once,
            ),
            lambda _: Answer(204),
        )

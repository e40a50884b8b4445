from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.schema import PATH, VAULT_ID, operation, problems
from secrets_app.api.serializers.secrets import (
    RevealedSecretSerializer,
    SecretSerializer,
    SecretWriteSerializer,
)
from secrets_app.api.views.base import ApiViewSet
from secrets_app.policy.decision import Permission
from secrets_app.services.lookup import describe_secret
from secrets_app.services.reveal import reveal_secret
from secrets_app.services.write import write_secret


class SecretViewSet(ApiViewSet):
    tag = "Secrets"
    access = {
        "update": Permission.WRITE,
        "retrieve": Permission.READ,
        "describe": Permission.READ,
    }

    @operation(
        summary="Create or update a secret",
        parameters=[VAULT_ID, PATH],
        request=SecretWriteSerializer,
        responses={201: SecretSerializer} | problems(400, 401, 403, 404, 413, 415, 500),
    )
    def update(self, request: Request, vault_id: UUID, path: str) -> Response:
        """Every write is a new version; a deleted path is revived."""
        body = SecretWriteSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        version = write_secret(
            caller=self.caller, vault_id=vault_id, path=path, new=body.to_version()
        )
        return Response(SecretSerializer(version).data, status=201, headers=_etag(version))

    @operation(
        summary="Read a secret",
        parameters=[VAULT_ID, PATH],
        responses={200: RevealedSecretSerializer} | problems(400, 401, 403, 404, 410, 500),
    )
    def retrieve(self, request: Request, vault_id: UUID, path: str) -> Response:
        """The latest version with its value. Spends one access where they are counted."""
        revealed = reveal_secret(caller=self.caller, vault_id=vault_id, path=path)
        body = RevealedSecretSerializer(revealed.version, context={"value": revealed.value}).data
        return Response(body, headers=_etag(revealed.version) | {"Cache-Control": "no-store"})

    def describe(self, request: Request, vault_id: UUID, path: str) -> Response:
        """HEAD: whether GET would answer. Reveals nothing and spends no access."""
        version = describe_secret(caller=self.caller, vault_id=vault_id, path=path)
        return Response(SecretSerializer(version).data, headers=_etag(version))


def _etag(version: Any) -> dict[str, str]:
    return {"ETag": f'"{version.number}"'}

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.schema import IDEMPOTENCY_KEY, PATH, VAULT_ID, operation, problems
from secrets_app.api.serializers.settings import SecretSettingsSerializer
from secrets_app.api.views.base import ApiViewSet
from secrets_app.policy.decision import Permission
from secrets_app.services.secrets import change_settings, get_settings
from secrets_app.services.transactions.idempotency import Answer


class SettingsViewSet(ApiViewSet):
    tag = "Settings"
    access = {"retrieve": Permission.READ, "update": Permission.WRITE}

    @operation(
        summary="What is set for a secret",
        parameters=[VAULT_ID, PATH],
        responses={200: SecretSettingsSerializer} | problems(400, 401, 403, 404, 500),
    )
    def retrieve(self, request: Request, vault_id: UUID, path: str) -> Response:
        """Return what is set, the defaults where nothing is."""
        found = get_settings(caller=self.caller, vault_id=vault_id, path=path)
        return Response(SecretSettingsSerializer.show(found))

    @operation(
        summary="Set it",
        parameters=[VAULT_ID, PATH, IDEMPOTENCY_KEY],
        request=SecretSettingsSerializer,
        responses={200: SecretSettingsSerializer}
        | problems(400, 401, 403, 404, 409, 413, 415, 422, 500),
    )
    def update(self, request: Request, vault_id: UUID, path: str) -> Response:
        """What is left out is unset. It may come before the first version. Only the vault's owner changes
        `max_versions`, since older versions are destroyed for good."""
        wanted = SecretSettingsSerializer.to_settings(request.data)
        return self.once(
            request,
            lambda once: change_settings(
                caller=self.caller,
                vault_id=vault_id,
                path=path,
                change=lambda _: wanted,
                once=once,
            ),
            lambda settings: Answer(200, SecretSettingsSerializer.show(settings)),
        )

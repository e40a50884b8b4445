from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.permissions import Access
from secrets_app.api.schema import IDEMPOTENCY_KEY, VAULT_ID, operation, problems
from secrets_app.api.serializers.queries import query_of
from secrets_app.api.serializers.vaults import (
    VaultCreateSerializer,
    VaultListSerializer,
    VaultSerializer,
    VaultsQuerySerializer,
)
from secrets_app.api.views.base import ApiViewSet
from secrets_app.services.secrets import create_vault, delete_vault, get_vault, list_vaults
from secrets_app.services.transactions.idempotency import Answer


class VaultViewSet(ApiViewSet):
    tag = "Vaults"
    resource = "vault"
    access = {
        "create": Access.SIGNED_IN,
        "list": Access.SIGNED_IN,
        "retrieve": Access.VAULT_MEMBER,
        "destroy": Access.VAULT_OWNER,
    }

    @operation(
        summary="Create a vault",
        request=VaultCreateSerializer,
        parameters=[IDEMPOTENCY_KEY],
        responses={201: VaultSerializer} | problems(400, 401, 403, 409, 413, 415, 422, 500),
    )
    def create(self, request: Request) -> Response:
        """The caller becomes its owner. An owner's vault names differ in more than case."""
        body = VaultCreateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        caller = self.caller
        return self.once(
            request,
            lambda once: create_vault(
                owner_id=caller.id,
                owner_kind=caller.kind,
                actor=caller.actor,
                once=once,
                **body.validated_data,
            ),
            lambda vault: Answer(201, VaultSerializer(vault).data),
        )

    @operation(
        summary="List vaults",
        parameters=[VaultsQuerySerializer],
        responses={200: VaultListSerializer} | problems(400, 401, 500),
    )
    def list(self, request: Request) -> Response:
        """List those the caller owns, by name, and then those that others share with it."""
        query = query_of(request, VaultsQuerySerializer)
        shared = query["shared"] == "true" if "shared" in query else None
        vaults = list_vaults(caller=self.caller, shared=shared)
        end = query["offset"] + query["limit"]
        page = VaultSerializer(vaults[query["offset"] : end + 1], many=True).data
        body: dict[str, Any] = {"vaults": page[: query["limit"]]}
        if len(page) > query["limit"]:
            body["next_offset"] = end
        return Response(body)

    @operation(
        summary="Look at a vault",
        parameters=[VAULT_ID],
        responses={200: VaultSerializer} | problems(400, 401, 403, 404, 500),
    )
    def retrieve(self, request: Request, vault_id: UUID) -> Response:
        """Return it to its owner and whoever has a policy in it."""
        return Response(VaultSerializer(get_vault(caller=self.caller, vault_id=vault_id)).data)

    @operation(
        summary="Delete a vault",
        parameters=[VAULT_ID],
        request=None,
        responses={204: None} | problems(400, 401, 403, 404, 500),
    )
    def destroy(self, request: Request, vault_id: UUID) -> Response:
        """Delete it with all in it. After the retention window its keys are destroyed."""
        delete_vault(caller=self.caller, vault_id=vault_id)
        return Response(status=204)

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.permissions import Access
from secrets_app.api.schema import IDEMPOTENCY_KEY, ITEM_ID, VAULT_ID, operation, problems
from secrets_app.api.serializers.policies import (
    AccessQuerySerializer,
    ExplanationSerializer,
    PolicyCreateSerializer,
    PolicyListSerializer,
    PolicySerializer,
    PolicyUpdateSerializer,
)
from secrets_app.api.serializers.queries import query_of
from secrets_app.api.views.base import ApiViewSet
from secrets_app.policy.decision import Permission
from secrets_app.services.access import (
    create_policy,
    delete_policy,
    explain_access,
    list_policies,
    update_policy,
)
from secrets_app.services.transactions.idempotency import Answer


class PolicyViewSet(ApiViewSet):
    tag = "Policies"
    resource = "policy"
    access = {
        "create": Access.VAULT_OWNER,
        "list": Access.VAULT_OWNER,
        "update": Access.VAULT_OWNER,
        "destroy": Access.VAULT_OWNER,
        "explain": Access.VAULT_KNOWN,
    }

    @operation(
        summary="Add a policy",
        parameters=[VAULT_ID, IDEMPOTENCY_KEY],
        request=PolicyCreateSerializer,
        responses={201: PolicySerializer} | problems(400, 401, 403, 404, 409, 413, 415, 422, 500),
    )
    def create(self, request: Request, vault_id: UUID) -> Response:
        """It holds from the next request on. A principal or group has at most 1000 in a vault, expired ones
        counted: then it is a 409."""
        body = PolicyCreateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return self.once(
            request,
            lambda once: create_policy(
                caller=self.caller, vault_id=vault_id, new=body.to_policy(), once=once
            ),
            lambda policy: Answer(201, PolicySerializer(policy).data),
        )

    @operation(
        summary="List the policies of a vault",
        parameters=[VAULT_ID],
        responses={200: PolicyListSerializer} | problems(400, 401, 403, 404, 500),
    )
    def list(self, request: Request, vault_id: UUID) -> Response:
        """List them for the vault's owner."""
        policies = list_policies(vault_id=vault_id)
        return Response({"policies": PolicySerializer(policies, many=True).data})

    @operation(
        summary="Change a policy",
        parameters=[VAULT_ID, ITEM_ID],
        request=PolicyUpdateSerializer,
        responses={200: PolicySerializer} | problems(400, 401, 403, 404, 413, 415, 500),
    )
    def update(self, request: Request, vault_id: UUID, item_id: UUID) -> Response:
        """Change permissions, effect, conditions or expiry. Pattern and principal are fixed."""
        body = PolicyUpdateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        policy = update_policy(
            caller=self.caller, vault_id=vault_id, policy_id=item_id, changes=body.validated_data
        )
        return Response(PolicySerializer(policy).data)

    @operation(
        summary="Delete a policy",
        parameters=[VAULT_ID, ITEM_ID],
        request=None,
        responses={204: None} | problems(400, 401, 403, 404, 500),
    )
    def destroy(self, request: Request, vault_id: UUID, item_id: UUID) -> Response:
        """It is refused from the next request on."""
        delete_policy(caller=self.caller, vault_id=vault_id, policy_id=item_id)
        return Response(status=204)

    @operation(
        summary="Explain a decision",
        parameters=[VAULT_ID, AccessQuerySerializer],
        responses={200: ExplanationSerializer} | problems(400, 401, 403, 404, 500),
    )
    def explain(self, request: Request, vault_id: UUID) -> Response:
        """Tell whether a principal may do something at a path, why, and by which policies."""
        query = query_of(request, AccessQuerySerializer)
        explanation = explain_access(
            caller=self.caller,
            vault_id=vault_id,
            principal_id=query.get("principal_id"),
            path=query["path"],
            permission=Permission(query["permission"]),
        )
        return Response(ExplanationSerializer(explanation).data)

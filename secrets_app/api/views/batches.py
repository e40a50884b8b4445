from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.permissions import Access
from secrets_app.api.problems import item_problem
from secrets_app.api.schema import IDEMPOTENCY_KEY, UNCACHED, VAULT_ID, operation, problems
from secrets_app.api.serializers.batches import (
    BatchReadRequestSerializer,
    BatchReadSerializer,
    BatchWriteRequestSerializer,
    BatchWriteSerializer,
)
from secrets_app.api.serializers.secrets import RevealedSecretSerializer, SecretSerializer
from secrets_app.api.views.base import ApiViewSet
from secrets_app.api.views.secrets import NO_STORE
from secrets_app.services.secrets import authorize_many, write_many
from secrets_app.services.secrets.batch_read import Refused, reveal_many
from secrets_app.services.transactions.idempotency import Answer


class BatchViewSet(ApiViewSet):
    """The paths are in the body, so they are judged one by one after it is read."""

    tag = "Batches"
    access = {"read": Access.VAULT_MEMBER, "write": Access.VAULT_MEMBER}

    @operation(
        summary="Read up to 200 secrets",
        parameters=[VAULT_ID, UNCACHED],
        request=BatchReadRequestSerializer,
        responses={200: BatchReadSerializer} | problems(400, 401, 403, 404, 413, 415, 500),
    )
    def read(self, request: Request, vault_id: UUID) -> Response:
        """Each path is judged, counted and logged by itself; `errors` has a problem for each that
        cannot be read. An Idempotency-Key is not looked at: values are kept nowhere."""
        body = BatchReadRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        results = reveal_many(
            caller=self.caller, vault_id=vault_id, paths=body.validated_data["paths"]
        )
        revealed = [result for result in results if not isinstance(result, Refused)]
        answer = {
            "secrets": [RevealedSecretSerializer.show(each) for each in revealed],
            "errors": [
                item_problem(result.error, path=result.path)
                for result in results
                if isinstance(result, Refused)
            ],
        }
        return Response(answer, headers=NO_STORE)

    @operation(
        summary="Write up to 200 secrets, all or nothing",
        parameters=[VAULT_ID, IDEMPOTENCY_KEY],
        request=BatchWriteRequestSerializer,
        responses={201: BatchWriteSerializer}
        | problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 500),
    )
    def write(self, request: Request, vault_id: UUID) -> Response:
        """`if_version` is the version a path must have, 0 for none yet."""
        body = BatchWriteRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        items = body.to_items()
        authorize_many(caller=self.caller, vault_id=vault_id, paths=[item.path for item in items])
        return self.once(
            request,
            lambda once: write_many(caller=self.caller, vault_id=vault_id, items=items, once=once),
            lambda versions: Answer(
                201, {"secrets": [SecretSerializer.show(each) for each in versions]}
            ),
        )

from collections import deque
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.headers import NO_STORE
from secrets_app.api.json import CHUNK_BYTES, CompactJSONRenderer, ListInChunks
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
from secrets_app.services.secrets import authorize_many, write_many
from secrets_app.services.secrets.batch_memory import Share
from secrets_app.services.secrets.batch_read import Refused, reveal_many
from secrets_app.services.secrets.reveal import Revealed
from secrets_app.services.transactions.idempotency import Answer


class BatchViewSet(ApiViewSet):
    """The paths are in the body, so they are judged one by one after it is read.

    `share` is what a request may hold of the memory for batches; it is given back when the answer is
    made, or, where that is streamed, when it is sent.
    """

    share: Share

    tag = "Batches"
    access = {"read": Access.VAULT_MEMBER, "write": Access.VAULT_MEMBER}

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.share = Share()
        response = None
        try:
            response = super().dispatch(request, *args, **kwargs)
        finally:
            if not isinstance(response, StreamingHttpResponse):
                self.share.give_back()
        return response

    @operation(
        summary="Read up to 200 secrets",
        parameters=[VAULT_ID, UNCACHED],
        request=BatchReadRequestSerializer,
        responses={200: BatchReadSerializer} | problems(400, 401, 403, 404, 413, 415, 500),
    )
    def read(self, request: Request, vault_id: UUID) -> HttpResponseBase:
        """Each path is judged, counted and logged by itself; `errors` has a problem for each that
        cannot be read. An Idempotency-Key is not looked at: values are kept nowhere. Values of more
        than BATCH_MAX_BYTES together are a 413, and nothing is counted or logged then."""
        body = BatchReadRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        results = reveal_many(
            caller=self.caller,
            vault_id=vault_id,
            paths=body.validated_data["paths"],
            share=self.share,
        )
        revealed = deque(result for result in results if not isinstance(result, Refused))
        errors = [
            item_problem(result.error, path=result.path)
            for result in results
            if isinstance(result, Refused)
        ]
        del results
        if sum(len(each.value or b"") for each in revealed) > CHUNK_BYTES:
            members = _members(revealed)
            chunks = ListInChunks("secrets", members, {"errors": errors}, self.share.give_back)
            return StreamingHttpResponse(
                chunks, content_type=CompactJSONRenderer.media_type, headers=NO_STORE
            )
        answer = {"secrets": list(_members(revealed)), "errors": errors}
        return Response(answer, headers=NO_STORE)

    @operation(
        summary="Write up to 200 secrets, all or nothing",
        parameters=[VAULT_ID, IDEMPOTENCY_KEY],
        request=BatchWriteRequestSerializer,
        responses={201: BatchWriteSerializer}
        | problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 428, 500),
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


def _members(revealed: deque[Revealed]) -> Iterator[dict[str, Any]]:
    """One after the other; each is let go when it is shown."""
    while revealed:
        yield RevealedSecretSerializer.show(revealed.popleft())

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.headers import NO_STORE, known_versions, write_precondition
from secrets_app.api.permissions import Access
from secrets_app.api.schema import (
    CREATE_ONLY,
    ETAG,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    PATH,
    UNCACHED,
    VAULT_ID,
    operation,
    problems,
)
from secrets_app.api.serializers.base import require_empty_body
from secrets_app.api.serializers.queries import (
    DeleteQuerySerializer,
    ListQuerySerializer,
    query_of,
)
from secrets_app.api.serializers.secrets import (
    RevealedSecretSerializer,
    RotateSerializer,
    SecretListSerializer,
    SecretSerializer,
    SecretWriteSerializer,
)
from secrets_app.api.views.base import ApiViewSet
from secrets_app.models import SecretVersion
from secrets_app.models.request_state import Fetch
from secrets_app.policy.decision import Permission
from secrets_app.services.access import may
from secrets_app.services.secrets import (
    ListQuery,
    delete_secret,
    describe_secret,
    list_secrets,
    purge_secret,
    rotate_secret,
    undelete_secret,
    write_secret,
)
from secrets_app.services.secrets.reveal import Revealed, reveal_secret
from secrets_app.services.transactions.idempotency import Answer

_CHANGE_PROBLEMS = (400, 401, 403, 404, 409, 413, 415, 422, 500)


class SecretViewSet(ApiViewSet):
    tag = "Secrets"
    access = {
        "list": Access.VAULT_MEMBER,
        "update": Permission.WRITE,
        "retrieve": Permission.READ,
        "describe": Permission.READ,
        "destroy": Permission.DELETE,
        "rotate": Permission.ROTATE,
        "undelete": Permission.WRITE,
    }
    fetch = {"retrieve": Fetch.CURRENT, "update": Fetch.NEXT}

    @operation(
        summary="List secrets",
        parameters=[VAULT_ID, ListQuerySerializer],
        responses={200: SecretListSerializer} | problems(400, 401, 403, 404, 500),
    )
    def list(self, request: Request, vault_id: UUID) -> Response:
        """List the latest version of each path the caller may read, in the order of paths, no values. A
        page may be shorter than `limit`, even empty: go on while there is a `next_cursor`."""
        wanted = ListQuery(**query_of(request, ListQuerySerializer))
        page = list_secrets(caller=self.caller, vault_id=vault_id, wanted=wanted)
        body: dict[str, Any] = {"secrets": [SecretSerializer.show(each) for each in page.versions]}
        if page.cursor is not None:
            body["next_cursor"] = page.cursor
        return Response(body)

    @operation(
        summary="Create or update a secret",
        parameters=[VAULT_ID, PATH, IF_MATCH, CREATE_ONLY, IDEMPOTENCY_KEY, ETAG],
        request=SecretWriteSerializer,
        responses={201: SecretSerializer} | problems(*_CHANGE_PROBLEMS, 412, 428),
    )
    def update(self, request: Request, vault_id: UUID, path: str) -> Response:
        """Every write is a new version; a deleted path is revived."""
        expect = write_precondition(request)
        new = SecretWriteSerializer.to_version(request.data)
        return self.once(
            request,
            lambda once: write_secret(
                caller=self.caller,
                vault_id=vault_id,
                path=path,
                new=new,
                expect=expect,
                once=once,
            ),
            created,
        )

    @operation(
        summary="Read a secret",
        parameters=[VAULT_ID, PATH, IF_NONE_MATCH, ETAG, UNCACHED],
        responses={200: RevealedSecretSerializer, 304: None}
        | problems(400, 401, 403, 404, 410, 500),
    )
    def retrieve(self, request: Request, vault_id: UUID, path: str) -> Response:
        """Return the latest version with its value. Spends one access where they are counted."""
        revealed = reveal_secret(
            caller=self.caller, vault_id=vault_id, path=path, is_known=known_versions(request)
        )
        return show(revealed)

    def describe(self, request: Request, vault_id: UUID, path: str) -> Response:
        """HEAD: whether GET would answer. Reveals nothing and spends no access."""
        version = describe_secret(caller=self.caller, vault_id=vault_id, path=path)
        return Response(SecretSerializer.show(version), headers=etag(version))

    @operation(
        summary="Delete a secret",
        parameters=[VAULT_ID, PATH, DeleteQuerySerializer],
        request=None,
        responses={204: None} | problems(400, 401, 403, 404, 500),
    )
    def destroy(self, request: Request, vault_id: UUID, path: str) -> Response:
        """All versions become unavailable, and can be brought back within the retention window. With
        `purge=true` they are destroyed at once, for good."""
        purge = query_of(request, DeleteQuerySerializer).get("purge") == "true"
        end = purge_secret if purge else delete_secret
        end(caller=self.caller, vault_id=vault_id, path=path)
        return Response(status=204)

    @operation(
        summary="Let the server draw a new value",
        parameters=[VAULT_ID, PATH, IDEMPOTENCY_KEY, ETAG],
        request=RotateSerializer,
        responses={201: SecretSerializer} | problems(*_CHANGE_PROBLEMS, 410),
    )
    def rotate(self, request: Request, vault_id: UUID, path: str) -> Response:
        """Write a new version of an existing secret, its value drawn at random. Metadata and rotation
        policy stay. Who may write chooses a type, and unsets expiry and access count; who may only rotate
        keeps them, and draws 128 bits or more.
        """
        recipe = RotateSerializer.to_recipe(request.data)
        return self.once(
            request,
            lambda once: rotate_secret(
                caller=self.caller,
                vault_id=vault_id,
                path=path,
                recipe=recipe,
                once=once,
            ),
            lambda version: Answer(201, self._described(version), etag(version)),
        )

    @operation(
        summary="Bring a deleted secret back",
        parameters=[VAULT_ID, PATH, IDEMPOTENCY_KEY, ETAG],
        request=None,
        responses={200: SecretSerializer} | problems(400, 401, 403, 404, 409, 410, 422, 500),
    )
    def undelete(self, request: Request, vault_id: UUID, path: str) -> Response:
        """Bring it back with all its versions, within the retention window."""
        require_empty_body(request)
        return self.once(
            request,
            lambda once: undelete_secret(
                caller=self.caller, vault_id=vault_id, path=path, once=once
            ),
            lambda version: Answer(200, self._described(version), etag(version)),
        )

    def _described(self, version: SecretVersion) -> dict[str, Any]:
        """A version that somebody else described: how, is for those to know who may read it."""
        described = SecretSerializer.show(version)
        path = version.secret.path
        if not may(
            caller=self.caller, vault_id=version.vault_id, path=path, permission=Permission.READ
        ):
            described.pop("metadata", None)
            described.pop("expires_at", None)
        return described


def created(version: SecretVersion) -> Answer:
    """Return the answer to a write: no value."""
    return Answer(201, SecretSerializer.show(version), etag(version))


def show(revealed: Revealed) -> Response:
    """Return the answer to a read: 304 when the caller has this version already."""
    headers = etag(revealed.version) | NO_STORE
    if revealed.value is None:
        return Response(status=304, headers=headers)
    return Response(RevealedSecretSerializer.show(revealed), headers=headers)


def etag(version: SecretVersion) -> dict[str, str]:
    return {"ETag": f'"{version.number}"'}

"""Answers in the form of Vault's HTTP API, and the one table from exception to failure."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, HttpResponse

from secrets_app import errors
from secrets_app.http.failures import PASSING, RETRY_AFTER_S, log_failure

DENIED = ["permission denied"]
UNSUPPORTED_PATH, UNSUPPORTED_OPERATION = ["unsupported path"], ["unsupported operation"]
CAS_WRONG = "check-and-set parameter did not match the current version"
CAS_REQUIRED = "check-and-set parameter required for this call"

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
encode = _encode


def envelope(
    request_id: UUID, data: str = "null", auth: str = "null", *, status: int = 200, more: str = ""
) -> HttpResponse:
    """A success with a body; `data`, `auth` and `more` (further members, after a comma) are JSON text."""
    return _json(
        f'{{"request_id":"{request_id}","lease_id":"","renewable":false,"lease_duration":0,'
        f'"data":{data},"wrap_info":null,"warnings":null,"auth":{auth}{more}}}',
        status,
    )


def plain(body: Any, *, status: int = 200) -> HttpResponse:
    """JSON without the envelope, as some calls of `sys` have it."""
    return _json(_encode(body), status)


def nothing() -> HttpResponse:
    """204."""
    response = HttpResponse(status=204)
    response.headers["Cache-Control"] = "no-store"
    del response.headers["Content-Type"]
    return response


def refusal(status: int, messages: list[str]) -> HttpResponse:
    """A failure."""
    return _json(_encode({"errors": messages}), status)


def failure(exc: Exception, request_id: UUID) -> HttpResponse:
    """Any exception in, an answer out. Nothing that was submitted is repeated."""
    status, messages = _judge(exc)
    if status >= 500:
        log_failure(exc, request_id)
    response = refusal(status, messages)
    if isinstance(exc, errors.TooManyRequests):
        response.headers["Retry-After"] = str(exc.retry_after_s)
    elif isinstance(exc, PASSING):
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def instant(at: datetime) -> str:
    """RFC 3339 with `Z`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _judge(exc: Exception) -> tuple[int, list[str]]:
    match exc:
        case errors.InvalidInput():
            return 400, [f"{name}: {text}" for name, texts in exc.errors.items() for text in texts]
        case errors.Unauthenticated() | errors.Forbidden():
            return 403, DENIED
        case errors.NotFound() | errors.Unavailable():
            return 404, []
        case errors.TooManyRequests():
            return 429, [exc.detail]
        case errors.PreconditionFailed():
            return 400, [CAS_WRONG]
        case errors.PreconditionRequired():
            return 400, [CAS_REQUIRED]
        case errors.Conflict():
            return 400, [exc.detail]
        case errors.TooLarge():
            return 413, [exc.detail]
        case RequestDataTooBig():
            return 413, ["The body is too large."]
        case SuspiciousOperation():
            return 400, ["The request is not valid."]
    return 500, ["internal error"]


def _json(text: str, status: int) -> HttpResponse:
    response = HttpResponse(text.encode(), status=status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    # Django would log the path of a refused request again, and paths name secrets.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def outside_a_view(status: int) -> HttpResponse:
    """For what goes wrong before a view is reached; the project's handlers ask for it."""
    messages = {400: ["The request is not valid."], 404: UNSUPPORTED_PATH}
    return refusal(status, messages.get(status, ["internal error"]))


def request_id_of(request: HttpRequest) -> UUID:
    """The id that ties answer, log lines and audit events together."""
    known = getattr(request, "request_id", None)
    if known is None:
        known = request.request_id = uuid4()  # type: ignore[attr-defined]
    return known

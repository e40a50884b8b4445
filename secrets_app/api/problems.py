"""Turn exceptions into problem documents, by one table (RFC 9457, wire contract "Conventions").

No detail repeats what was submitted, and a 500 reveals nothing about the inside.
"""

import math
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework.exceptions import APIException, Throttled, ValidationError
from rest_framework.response import Response

from secrets_app import errors
from secrets_app.api.headers import CONTENT_SECURITY_POLICY
from secrets_app.http.failures import PASSING, RETRY_AFTER_S, log_failure

CONTENT_TYPE = "application/problem+json"

# The first class that fits decides, so subclasses come before their parents.
STATUS: tuple[tuple[type[Exception], HTTPStatus], ...] = (
    (errors.InvalidInput, HTTPStatus.BAD_REQUEST),
    (errors.OAuthError, HTTPStatus.BAD_REQUEST),
    (errors.Unauthenticated, HTTPStatus.UNAUTHORIZED),
    (errors.Forbidden, HTTPStatus.FORBIDDEN),
    (errors.TooManyRequests, HTTPStatus.TOO_MANY_REQUESTS),
    (errors.NotFound, HTTPStatus.NOT_FOUND),
    (errors.Conflict, HTTPStatus.CONFLICT),
    (errors.PreconditionFailed, HTTPStatus.PRECONDITION_FAILED),
    (errors.PreconditionRequired, HTTPStatus.PRECONDITION_REQUIRED),
    (errors.KeyReused, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.Unavailable, HTTPStatus.GONE),
    (errors.TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (RequestDataTooBig, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (SuspiciousOperation, HTTPStatus.BAD_REQUEST),
    (PermissionDenied, HTTPStatus.FORBIDDEN),
    (Http404, HTTPStatus.NOT_FOUND),
)
_DETAIL = {
    400: "The request is not valid.",
    401: errors.Unauthenticated.detail,
    403: "You may not do this.",
    404: errors.NotFound.detail,
    405: "This method is not allowed here.",
    413: "The request is too large.",
    415: "The body must be JSON, sent as application/json.",
    429: "Too many requests. Try again later.",
    500: "Something went wrong inside. Nothing was stored.",
}


def problem_response(exc: Exception, context: dict[str, Any]) -> Response:
    """Turn any exception into a problem document: DRF's exception handler."""
    status = _status(exc)
    request_id = getattr(context["request"], "request_id", None)
    if status >= 500:
        log_failure(exc, request_id)
    body = problem_body(status, detail=_detail(exc, status), request_id=request_id)
    field_errors = _field_errors(exc)
    if field_errors:
        body["errors"] = field_errors
    response = Response(
        body, status=status, headers=_headers(exc, status), content_type=CONTENT_TYPE
    )
    # Django would log the request's path, and paths name secrets.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def problem_body(status: int, *, detail: str, request_id: UUID | None) -> dict[str, Any]:
    """Return the members of RFC 9457. `instance` is the request's id."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
    }
    if request_id is not None:
        body["instance"] = f"urn:uuid:{request_id}"
    return body


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _outside_a_view(request, 400) or defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _outside_a_view(request, 403) or defaults.permission_denied(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _outside_a_view(request, 404) or defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    return _outside_a_view(request, 500) or defaults.server_error(request)


def _outside_a_view(request: HttpRequest, status: int) -> HttpResponse | None:
    """Return a problem document for a failure before an API view, None outside the API."""
    if request.path_info != "/v1" and not request.path_info.startswith(("/v1/", "/.well-known/")):
        return None
    request_id = getattr(request, "request_id", None) or uuid4()
    body = problem_body(status, detail=_DETAIL[status], request_id=request_id)
    return JsonResponse(
        body, status=status, content_type=CONTENT_TYPE, headers=CONTENT_SECURITY_POLICY
    )


def item_problem(exc: errors.SecretsAppError, *, path: str) -> dict[str, Any]:
    """Return the problem of one path in a batch."""
    status = _status(exc)
    if status >= 500:
        log_failure(exc, None)
    return problem_body(status, detail=_detail(exc, status), request_id=None) | {"path": path}


def _status(exc: Exception) -> int:
    if isinstance(exc, APIException):
        return exc.status_code
    return next((status for kind, status in STATUS if isinstance(exc, kind)), 500)


def _detail(exc: Exception, status: int) -> str:
    if isinstance(exc, errors.SecretsAppError) and status < 500:
        return exc.detail
    if isinstance(exc, errors.InconsistentVault):
        return exc.detail  # repeating the request does not help, and asking an operator does
    if isinstance(exc, PASSING):
        return "A part of the service cannot be reached. Nothing was stored. Try again later."
    if isinstance(exc, ValidationError):
        return errors.InvalidInput.detail
    return _DETAIL.get(status, "The request could not be carried out.")


def _headers(exc: Exception, status: int) -> dict[str, str]:
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="vaultsite"'
    if isinstance(exc, PASSING):
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if isinstance(exc, errors.TooManyRequests):
        headers["Retry-After"] = str(exc.retry_after_s)
    if isinstance(exc, errors.StillRunning):
        headers["Retry-After"] = "1"
    wait = getattr(exc, "wait", None) if isinstance(exc, Throttled) else None
    if wait is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
    return headers


def _field_errors(exc: Exception) -> dict[str, list[str]] | None:
    if isinstance(exc, errors.InvalidInput):
        return exc.errors
    if isinstance(exc, ValidationError):
        flat: dict[str, list[str]] = {}
        _flatten(exc.detail, "", flat)
        return flat
    if isinstance(exc, APIException) and exc.status_code == 400:
        return {"body": [str(exc.detail)]}
    if isinstance(exc, SuspiciousOperation) and _status(exc) == 400:
        return {"query": ["There are too many parameters."]}
    return None


def _flatten(detail: Any, field: str, into: dict[str, list[str]]) -> None:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            _flatten(inner, f"{field}.{name}" if field else str(name), into)
    elif isinstance(detail, list):
        for inner in detail:
            _flatten(inner, field, into)
    else:
        into.setdefault(field or "body", []).append(str(detail))

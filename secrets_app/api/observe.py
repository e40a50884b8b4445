"""Number, count, time, log and trace requests, all in one place.

It is the first entry of MIDDLEWARE. The app works without it, and then reports less about itself.
"""

import logging
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from django.db import connection
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from secrets_app import metrics
from secrets_app.services.caller import Caller
from secrets_app.tracing import is_tracing, span, trace_query

logger = logging.getLogger("secrets_app.access")

_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "LIST"})


class ObserveRequests:
    """Gives a request its id (`X-Request-Id`, `instance` of problems, audit events, log lines).

    Labels and log lines contain a route's name in the URLconf, never the URL with its values.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        request_id = uuid4()
        request.request_id = request_id  # type: ignore[attr-defined]
        response = self._traced(request) if is_tracing() else self._get_response(request)
        response.headers["X-Request-Id"] = str(request_id)
        _note(request, response, request_id, time.perf_counter() - started)
        return response

    def _traced(self, request: HttpRequest) -> HttpResponseBase:
        with span("request") as current, connection.execute_wrapper(trace_query):
            response = self._get_response(request)
            method, route = _method(request), _route(request)
            current.update_name(f"{method} {route}")
            current.set_attributes(
                {
                    "http.request.method": method,
                    "http.route": route,
                    "http.response.status_code": response.status_code,
                    "vaultsite.request_id": str(request.request_id),  # type: ignore[attr-defined]
                }
            )
            return response


def _note(
    request: HttpRequest, response: HttpResponseBase, request_id: UUID, elapsed_s: float
) -> None:
    method, route, status = _method(request), _route(request), response.status_code
    metrics.answers(route, method, status).inc()
    metrics.request_seconds(route, method).observe(elapsed_s)
    if logger.isEnabledFor(logging.INFO):
        told = {
            "request_id": str(request_id),
            "principal": _principal(request),
            "route": route,
            "method": method,
            "status": status,
            "duration_ms": round(elapsed_s * 1000, 2),
        }
        logger.info("%s %s %d", method, route, status, extra=told)


def _method(request: HttpRequest) -> str:
    return request.method if request.method in _METHODS else "other"


def _route(request: HttpRequest) -> str:
    match = request.resolver_match
    return "none" if match is None else match.view_name


def _principal(request: HttpRequest) -> str | None:
    """Return who called: an API's principal, or `user:` for the admin if the session was read anyway."""
    user: Any = request.__dict__.get("user")
    if type(user) is Caller:  # isinstance would load the session's lazy user
        return str(user.id)
    staff = request.__dict__.get("_cached_user")
    return f"user:{staff.pk}" if staff is not None and staff.is_authenticated else None

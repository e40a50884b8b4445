"""Protect pages: a content security policy, and an answer for addresses that fail too often."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from secrets_app.errors import TooManyRequests


class ContentSecurityPolicy:
    """Sets what a page may load, run and send to: `CONTENT_SECURITY_POLICY`. The admin and the API's
    documentation have `LOOSER_CONTENT_SECURITY_POLICY`. Django 6.0 has its own.

    An answer with a stricter policy, such as the API's, keeps it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        answer = self.get_response(request)
        is_loose = request.path_info == "/docs" or request.path_info.startswith("/admin/")
        policy = settings.CONTENT_SECURITY_POLICY
        if is_loose:
            policy = settings.LOOSER_CONTENT_SECURITY_POLICY
        answer.headers.setdefault("Content-Security-Policy", policy)
        return answer


class TooManyRequestsPage:
    """Answers a page that failed too often from one address; the API answers by itself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, TooManyRequests):
            return None
        headers = {"Retry-After": str(error.retry_after_s), "Cache-Control": "no-store"}
        return HttpResponse(
            error.detail, status=429, headers=headers, content_type="text/plain; charset=utf-8"
        )

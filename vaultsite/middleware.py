"""Add headers that Django does not set itself."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase


class ContentSecurityPolicy:
    """Sets what a page may load, run and send to (`CONTENT_SECURITY_POLICY`). Django 6.0 has its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        answer = self.get_response(request)
        if not request.path_info.startswith("/v1/"):
            answer.headers["Content-Security-Policy"] = settings.CONTENT_SECURITY_POLICY
        return answer

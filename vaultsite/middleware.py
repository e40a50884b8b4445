"""What Django does not bring by itself."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase


class ContentSecurityPolicy:
    """What a page may load, run and send to (`CONTENT_SECURITY_POLICY`). Django has its own from 6.0 on.

    An answer that brings a stricter one, as those of the API do, keeps it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        answer = self.get_response(request)
        answer.headers.setdefault("Content-Security-Policy", settings.CONTENT_SECURITY_POLICY)
        return answer

"""Django's middleware for people with a browser, kept away from the API: it takes no cookies, and each of
these would cost it time and do nothing."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import middleware as auth
from django.contrib.messages import middleware as messages
from django.contrib.sessions import middleware as sessions
from django.http import HttpRequest, HttpResponseBase
from django_otp import middleware as otp


class _ForBrowsers:
    get_response: Any

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith("/v1/"):
            answer: HttpResponseBase = self.get_response(request)
        else:
            answer = super().__call__(request)  # type: ignore[misc]
        return answer


class SessionMiddleware(_ForBrowsers, sessions.SessionMiddleware):
    pass


class AuthenticationMiddleware(_ForBrowsers, auth.AuthenticationMiddleware):
    pass


class ContentSecurityPolicy:
    """What a page may load, run and send to (`CONTENT_SECURITY_POLICY`). Django has its own from 6.0 on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        answer = self.get_response(request)
        if not request.path_info.startswith("/v1/"):
            answer.headers["Content-Security-Policy"] = settings.CONTENT_SECURITY_POLICY
        return answer


class OTPMiddleware(_ForBrowsers, otp.OTPMiddleware):  # type: ignore[misc]
    pass


class MessageMiddleware(_ForBrowsers, messages.MessageMiddleware):
    pass

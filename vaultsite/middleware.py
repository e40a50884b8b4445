"""Django's middleware for people with a browser, kept away from the API: it takes no cookies, and each of
these would cost it time and do nothing."""

from typing import Any

from csp import middleware as csp
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


class CSPMiddleware(_ForBrowsers, csp.CSPMiddleware):
    pass


class OTPMiddleware(_ForBrowsers, otp.OTPMiddleware):  # type: ignore[misc]
    pass


class MessageMiddleware(_ForBrowsers, messages.MessageMiddleware):
    pass

"""Forwarding headers from a WSGI server, which may hand on two header names as one."""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings

from secrets_app.conf import app_settings

WSGIApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]


class WithoutForwarding:
    """WSGI middleware that takes X-Forwarded-* away, unless HEADER_NAMES_KEPT_APART is on."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        trusted = app_settings.TRUSTED_PROXIES or settings.SECURE_PROXY_SSL_HEADER
        if trusted and not app_settings.HEADER_NAMES_KEPT_APART:
            sys.stderr.write(
                "vaultsite: X-Forwarded-For and X-Forwarded-Proto do not count with this server, since WSGI"
                " cannot tell them from names with underscores. Serve vaultsite.asgi (docs/deployment.md),"
                " or set HEADER_NAMES_KEPT_APART where the server drops such names.\n"
            )

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not app_settings.HEADER_NAMES_KEPT_APART:
            for name in [each for each in environ if each.startswith("HTTP_X_FORWARDED_")]:
                del environ[name]
        return self._application(environ, start_response)

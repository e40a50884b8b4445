"""Pass API requests by the middleware that serves browsers.

They bring no cookies, so each of these would cost time and do nothing.
"""

from typing import Any

from django.conf import settings
from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest
from django.utils.module_loading import import_string

_API = ("/v1/", "/vault/v1/")


class Handler(WSGIHandler):
    """Runs `MIDDLEWARE`; for the API only its entries that are also in `API_MIDDLEWARE`, in the same
    order.
    """

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async)
        self._for_all = self._middleware_chain  # type: ignore[has-type]
        for_api = convert_exception_to_response(self._get_response)  # type: ignore[attr-defined]
        for path in reversed(settings.MIDDLEWARE):
            if path in settings.API_MIDDLEWARE:
                for_api = convert_exception_to_response(import_string(path)(for_api))
        self._for_api = for_api
        self._middleware_chain = self._choose

    def _choose(self, request: HttpRequest) -> Any:
        is_api = request.path_info.startswith(_API)
        return (self._for_api if is_api else self._for_all)(request)

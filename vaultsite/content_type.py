"""Remove the charset from a request's Content-Type, since an unknown one makes Django answer a bare 500.

Django acts on it before any of our handlers runs. JSON is UTF-8 in any case, and so are forms here.
"""

from collections.abc import Callable, Iterable
from typing import Any

WSGIApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]


class WithoutCharset:
    """WSGI middleware that removes the charset parameter."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        kind, *parameters = environ.get("CONTENT_TYPE", "").split(";")
        kept = [each for each in parameters if not each.strip().lower().startswith("charset")]
        environ["CONTENT_TYPE"] = ";".join([kind, *kept])
        return self._application(environ, start_response)

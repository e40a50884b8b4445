"""The charset of a request's Content-Type, which Django acts upon before any handler of ours runs: an
unknown one ends in a bare server error. JSON is UTF-8 whatever it says, and forms are too."""

from collections.abc import Callable, Iterable
from typing import Any

WSGIApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]


class WithoutCharset:
    """WSGI middleware that takes the charset parameter away."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        kind, *parameters = environ.get("CONTENT_TYPE", "").split(";")
        kept = [each for each in parameters if not each.strip().lower().startswith("charset")]
        environ["CONTENT_TYPE"] = ";".join([kind, *kept])
        return self._application(environ, start_response)

"""Let Django read bodies sent in chunks (RFC 9112, 7.1).

Django reads only as far as Content-Length says, so a chunked body would look empty.
"""

from collections.abc import Callable, Iterable
from typing import Any

WSGIApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]


class WithChunkedBodies:
    """WSGI middleware that lets a chunked body be read up to its end, at most `limit` bytes.

    It reads nothing itself. It sets a Content-Length of `limit`, and a reader stops at the end of the
    stream. The API's parser refuses bodies over its own limit.
    """

    def __init__(self, application: WSGIApplication, *, limit: int) -> None:
        self._application = application
        self._limit = limit

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        encoding = environ.get("HTTP_TRANSFER_ENCODING", "")
        if encoding.lower() == "chunked" and not environ.get("CONTENT_LENGTH"):
            environ["CONTENT_LENGTH"] = str(self._limit)
        return self._application(environ, start_response)

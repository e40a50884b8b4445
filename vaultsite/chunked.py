"""Bodies sent in chunks (RFC 9112, 7.1). Django reads only as far as Content-Length says, so a
chunked body would look empty to it."""

import io
from collections.abc import Callable, Iterable
from typing import Any

WSGIApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]


class WithChunkedBodies:
    """WSGI middleware that gives a chunked body a length, reading one byte past `limit` at most.

    What is longer than `limit` bytes is refused further on, for its length.
    """

    def __init__(self, application: WSGIApplication, *, limit: int) -> None:
        self._application = application
        self._limit = limit

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        encoding = environ.get("HTTP_TRANSFER_ENCODING", "")
        if encoding.lower() == "chunked" and not environ.get("CONTENT_LENGTH"):
            body = environ["wsgi.input"].read(self._limit + 1)
            environ["wsgi.input"] = io.BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
        return self._application(environ, start_response)

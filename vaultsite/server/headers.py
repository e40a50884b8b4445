"""A WSGI environ (PEP 3333) from an ASGI scope, in which no two header names become one.

WSGI spells `X-Forwarded-For` and `X_Forwarded_For` alike. Names with an underscore are left out here, so
that an environ holds what was sent under the name with hyphens and nothing else.
"""

import sys
from typing import Any
from urllib.parse import unquote_to_bytes

from secrets_app.services.access import NAMES_KEPT_APART

# Headers with one value. Lines that differ have no right reading, so such a request is refused.
_SINGLE = frozenset(
    {
        *("CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_HOST", "HTTP_AUTHORIZATION"),
        *("HTTP_TRANSFER_ENCODING", "HTTP_IDEMPOTENCY_KEY", "HTTP_ORIGIN", "HTTP_REFERER"),
        *("HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT"),
        "HTTP_X_CSRFTOKEN",
    }
)
_COMMON = {b"content-length": "CONTENT_LENGTH", b"content-type": "CONTENT_TYPE"} | {
    name.encode(): "HTTP_" + name.upper().replace("-", "_")
    for name in (
        *("accept", "accept-encoding", "accept-language", "authorization", "cache-control"),
        *("connection", "cookie", "host", "idempotency-key", "if-match", "if-none-match", "origin"),
        *("referer", "transfer-encoding", "user-agent", "x-forwarded-for", "x-forwarded-host"),
        *("x-forwarded-proto", "x-real-ip"),
    )
}


class Refused(Exception):
    """A request that is answered without asking Django, with this status."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def environ_of(scope: dict[str, Any]) -> dict[str, Any]:
    """Give the environ of an ASGI `http` scope, without `wsgi.input`.

    Lines of one name are joined in their order, with a comma; cookies with a semicolon (RFC 9113,
    8.2.3). Raises Refused (400) when a header that has one value came with two.
    """
    path: bytes = scope["raw_path"]
    if b"%" in path:
        path = unquote_to_bytes(path)
    server = scope["server"] or ("", None)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": path.decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": "HTTP/" + scope["http_version"],
        "REMOTE_ADDR": scope["client"][0] if scope["client"] else "",
        NAMES_KEPT_APART: True,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, raw in scope["headers"]:
        key = _COMMON.get(name)
        if key is None:
            if b"_" in name:
                continue
            key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        value = raw.decode("latin-1")
        if key in environ:
            value = _joined(key, environ[key], value)
        environ[key] = value
    content_type = environ.get("CONTENT_TYPE", "")
    if ";" in content_type:
        environ["CONTENT_TYPE"] = without_charset(content_type)
    return environ


def without_charset(content_type: str) -> str:
    """Take the charset parameter away. Django acts upon it before any handler of ours runs, and an unknown
    one ends in a bare server error. JSON is UTF-8 whatever it says, and forms are too."""
    kind, *parameters = content_type.split(";")
    kept = [each for each in parameters if not each.strip().lower().startswith("charset")]
    return ";".join([kind, *kept])


def _joined(key: str, before: str, value: str) -> str:
    if key in _SINGLE:
        if before == value:
            return value
        raise Refused(400, "A header that has one value was sent with two.")
    return f"{before}; {value}" if key == "HTTP_COOKIE" else f"{before}, {value}"

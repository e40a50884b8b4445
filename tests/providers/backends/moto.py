"""moto's KMS over HTTP.

moto lets a disabled key work and answers AccessDenied for a blob of another key; the wrapper around
it answers both as AWS documents them (KMS API reference: DisabledException, IncorrectKeyException).
"""

import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.providers.backends.link import Link

_SECRET = "moto-secret-access-key-51c2"


class _Silent(WSGIRequestHandler):
    def log(self, *arguments: Any) -> None:
        """Requests of tests are not worth a line."""


class Moto:
    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=_Silent
        )
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.link = Link(self._server.server_port)
        self.down, self.stalled = self.link.down, self.link.stalled
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.link.port}",
            "AWS_ACCESS_KEY_ID": "moto",
            "AWS_SECRET_ACCESS_KEY": _SECRET,
        }
        os.environ.update(self.environment)
        self._kms = boto3.client("kms", region_name="eu-central-1")
        self._disabled: set[str] = set()
        self.arn, other = (self._kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
        self.url, self.other_url = f"aws-kms://{self.arn}", f"aws-kms://{other}"
        self.secrets = [_SECRET]

    @contextmanager
    def disabled(self) -> Iterator[None]:
        key_id = self.arn.rpartition("/")[2]
        self._kms.disable_key(KeyId=key_id)
        self._disabled.add(self.arn)
        try:
            yield
        finally:
            self._kms.enable_key(KeyId=key_id)
            self._disabled.discard(self.arn)

    def close(self) -> None:
        self.link.close()
        self._server.shutdown()

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        if operation not in ("Encrypt", "Decrypt"):
            return self._moto(environ, start)
        raw = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = BytesIO(raw)
        if json.loads(raw)["KeyId"] in self._disabled:
            return _error(start, "DisabledException")
        said: list[Any] = []
        body = b"".join(self._moto(environ, lambda *answer: said.extend(answer)))
        if said[0].startswith("400") and b"AccessDeniedException" in body:
            return _error(start, "IncorrectKeyException")
        start(*said)
        return [body]


def _error(start: Callable[..., Any], code: str) -> list[bytes]:
    body = json.dumps({"__type": code}).encode()
    start(
        "400 Bad Request",
        [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(body)))],
    )
    return [body]

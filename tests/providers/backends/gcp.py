"""Google's KeyManagementService (google/cloud/kms/v1/service.proto): Encrypt and Decrypt over gRPC."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import google_crc32c
import grpc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.cloud.kms_v1.types import (
    DecryptRequest,
    DecryptResponse,
    EncryptRequest,
    EncryptResponse,
)

from tests.providers.backends.link import Link

_RING = "projects/acme/locations/europe-west3/keyRings/vaultsite/cryptoKeys"


class GcpKms:
    def __init__(self) -> None:
        self._keys = {f"{_RING}/{name}": AESGCM(os.urandom(32)) for name in ("root", "other")}
        self._enabled = True
        self.damage: str | None = None
        methods = {
            "Encrypt": grpc.unary_unary_rpc_method_handler(
                self._encrypt, EncryptRequest.deserialize, EncryptResponse.serialize
            ),
            "Decrypt": grpc.unary_unary_rpc_method_handler(
                self._decrypt, DecryptRequest.deserialize, DecryptResponse.serialize
            ),
        }
        self._server = grpc.server(ThreadPoolExecutor(8))
        self._server.add_generic_rpc_handlers(
            [
                grpc.method_handlers_generic_handler(
                    "google.cloud.kms.v1.KeyManagementService", methods
                )
            ]
        )
        self.link = Link(self._server.add_insecure_port("127.0.0.1:0"))
        self._server.start()
        os.environ["GCP_KMS_EMULATOR_HOST"] = f"127.0.0.1:{self.link.port}"
        self.url, self.other_url = (f"gcp-kms://{name}" for name in self._keys)
        self.secrets: list[str] = []
        self.down, self.stalled = self.link.down, self.link.stalled

    @contextmanager
    def disabled(self) -> Iterator[None]:
        self._enabled = False
        try:
            yield
        finally:
            self._enabled = True

    @contextmanager
    def damaged(self, field: str) -> Iterator[None]:
        """A field of each answer, or of what is received ("request"), is damaged on its way."""
        self.damage = field
        try:
            yield
        finally:
            self.damage = None

    def close(self) -> None:
        self.link.close()
        self._server.stop(None).wait()

    def _encrypt(self, request: EncryptRequest, context: Any) -> EncryptResponse:
        key = self._key(request.name, context)
        is_whole = self.damage != "request"
        for data, sum_ in (
            (request.plaintext, request.plaintext_crc32c),
            (request.additional_authenticated_data, request.additional_authenticated_data_crc32c),
        ):
            assert google_crc32c.value(data) == sum_
        nonce = os.urandom(12)
        sealed = nonce + key.encrypt(
            nonce, request.plaintext, request.additional_authenticated_data
        )
        return EncryptResponse(
            name=f"{request.name}/cryptoKeyVersions/1",
            ciphertext=sealed[:-1] if self.damage == "ciphertext" else sealed,
            ciphertext_crc32c=google_crc32c.value(sealed),
            verified_plaintext_crc32c=is_whole,
            verified_additional_authenticated_data_crc32c=is_whole,
        )

    def _decrypt(self, request: DecryptRequest, context: Any) -> DecryptResponse:
        key = self._key(request.name, context)
        assert google_crc32c.value(request.ciphertext) == request.ciphertext_crc32c
        raw = request.ciphertext
        try:
            if len(raw) < 28:
                raise InvalidTag
            opened = key.decrypt(raw[:12], raw[12:], request.additional_authenticated_data)
        except InvalidTag:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Decryption failed")
        return DecryptResponse(
            plaintext=opened[:-1] if self.damage == "plaintext" else opened,
            plaintext_crc32c=google_crc32c.value(opened),
        )

    def _key(self, name: str, context: Any) -> AESGCM:
        if name not in self._keys:
            context.abort(grpc.StatusCode.NOT_FOUND, "CryptoKey not found")
        if not self._enabled:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the version is DISABLED")
        return self._keys[name]

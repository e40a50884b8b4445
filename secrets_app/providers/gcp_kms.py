"""Google Cloud KMS: `gcp-kms://projects/<p>/locations/<l>/keyRings/<r>/cryptoKeys/<k>`.

Needs the extra `gcp` (google-cloud-kms). Credentials are Google's application default ones. The
context is bound as additional authenticated data. CRC32C checks protect requests and answers (Google
Cloud KMS, "Verifying end-to-end data integrity"). When KMS rotates the key itself, nothing has to be
done here.

GCP_KMS_EMULATOR_HOST=127.0.0.1:port makes it talk plain gRPC, without credentials, to a test server.
"""

import ipaddress
import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import google_crc32c
import grpc
from google.api_core import exceptions as api
from google.auth.exceptions import GoogleAuthError
from google.cloud.kms_v1 import KeyManagementServiceClient
from google.cloud.kms_v1.services.key_management_service.transports import (
    KeyManagementServiceGrpcTransport,
)
from google.cloud.kms_v1.types import DecryptRequest, EncryptRequest

from secrets_app.errors import (
    ConfigurationError,
    CryptoError,
    OpenError,
    ProviderError,
    ProviderUnavailable,
)

_NAME = re.compile(
    r"projects/[a-z0-9:.-]+/locations/[a-z0-9-]+/keyRings/[\w-]{1,63}/cryptoKeys/[\w-]{1,63}",
    re.ASCII,
)
# gRPC waits up to two minutes between attempts to connect; this shortens it.
_CHANNEL_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
]
_REFUSED = "Google Cloud KMS refused the operation ({})."
_PASSING = (
    api.ServerError,
    api.TooManyRequests,
    api.Cancelled,
    api.Aborted,
    api.RetryError,
    api.Unknown,
)


def from_url(url: str, *, timeout_s: float) -> "GcpKmsProvider":
    """Make the provider of a URL. Raises ConfigurationError unless it names a key, without a version."""
    name = url.removeprefix("gcp-kms://")
    if _NAME.fullmatch(name) is None:
        raise ConfigurationError(
            "A gcp-kms:// entry of ROOT_KEY_URLS is projects/<p>/locations/<l>/keyRings/<r>/"
            "cryptoKeys/<k>, without a version."
        )
    emulator = os.environ.get("GCP_KMS_EMULATOR_HOST", "")
    if emulator and not _is_loopback(emulator):
        raise ConfigurationError("GCP_KMS_EMULATOR_HOST must be a loopback address and port.")
    # At DEBUG Google's clients log requests and answers, with the keys in them.
    logging.getLogger("google").setLevel(logging.INFO)
    return GcpKmsProvider(name, emulator, timeout_s=timeout_s)


class GcpKmsProvider:
    """Encrypts KEKs with a symmetric CryptoKey."""

    binds_context = True

    def __init__(self, name: str, emulator: str, *, timeout_s: float) -> None:
        self._name = name
        self._emulator = emulator
        self._timeout_s = timeout_s
        self._client: KeyManagementServiceClient | None = None
        self._connecting = threading.Lock()
        self.active_key_id = f"gcp-kms://{name}"
        self.key_ids = frozenset([self.active_key_id])

    def wrap(self, key: bytes, context: bytes) -> bytes:
        request = EncryptRequest(
            name=self._name,
            plaintext=key,
            plaintext_crc32c=_crc32c(key),
            additional_authenticated_data=context,
            additional_authenticated_data_crc32c=_crc32c(context),
        )
        with _errors_translated(ProviderError(_REFUSED.format("InvalidArgument"))):
            answer = self._connected().encrypt(request, timeout=self._timeout_s, retry=None)
        _arrived_whole(
            answer.verified_plaintext_crc32c
            and answer.verified_additional_authenticated_data_crc32c
            and _crc32c(answer.ciphertext) == answer.ciphertext_crc32c
        )
        return bytes(answer.ciphertext)

    def unwrap(self, key_id: str, blob: bytes, context: bytes) -> bytes:
        if key_id != self.active_key_id or not blob:
            raise OpenError
        request = DecryptRequest(
            name=self._name,
            ciphertext=blob,
            ciphertext_crc32c=_crc32c(blob),
            additional_authenticated_data=context,
            additional_authenticated_data_crc32c=_crc32c(context),
        )
        with _errors_translated(OpenError()):
            answer = self._connected().decrypt(request, timeout=self._timeout_s, retry=None)
        _arrived_whole(_crc32c(answer.plaintext) == answer.plaintext_crc32c)
        return bytes(answer.plaintext)

    def check_health(self) -> None:
        """Encrypt a few bytes: that notices a disabled key as well as a broken network."""
        self.wrap(b"health", b"health")

    def _connected(self) -> KeyManagementServiceClient:
        """Return the client, made at first use: looking for credentials may itself ask the network."""
        with self._connecting:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> KeyManagementServiceClient:
        if self._emulator:
            transport = KeyManagementServiceGrpcTransport(
                channel=grpc.insecure_channel(self._emulator, options=_CHANNEL_OPTIONS)
            )
        else:
            transport = KeyManagementServiceGrpcTransport(channel=_secure_channel)
        return KeyManagementServiceClient(transport=transport)


def _secure_channel(host: str, **options: Any) -> grpc.Channel:
    options["options"] = [*(options.get("options") or ()), *_CHANNEL_OPTIONS]
    return KeyManagementServiceGrpcTransport.create_channel(host, **options)


@contextmanager
def _errors_translated(invalid: CryptoError) -> Iterator[None]:
    """Translate Google's exceptions; `invalid` is for InvalidArgument, whose meaning depends on the
    call.
    """
    try:
        yield
    except api.InvalidArgument:
        raise invalid from None
    except _PASSING as error:
        name = type(error).__name__
        raise ProviderUnavailable(f"Google Cloud KMS cannot be reached ({name}).") from None
    except (api.GoogleAPIError, GoogleAuthError) as error:
        name = type(error).__name__
        raise ProviderError(_REFUSED.format(name)) from None


def _arrived_whole(is_whole: bool) -> None:
    if not is_whole:
        raise ProviderUnavailable("What Google Cloud KMS received or sent was damaged on its way.")


def _crc32c(data: bytes) -> int:
    return int(google_crc32c.value(data))


def _is_loopback(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        return port.isdigit() and ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False

"""A key provider whose calls are counted, timed and traced, by the kind it is of."""

import time
from collections.abc import Callable
from typing import Any

from secrets_app.crypto.provider import KeyProvider
from secrets_app.metrics import provider_errors, provider_seconds
from secrets_app.tracing import span


class MeasuredProvider:
    """`scheme` is that of the provider's URL."""

    def __init__(self, provider: KeyProvider, *, scheme: str) -> None:
        self._provider = provider
        self._scheme = scheme

    @property
    def binds_context(self) -> bool:
        return self._provider.binds_context

    @property
    def active_key_id(self) -> str:
        return self._provider.active_key_id

    @property
    def key_ids(self) -> frozenset[str]:
        return self._provider.key_ids

    def wrap(self, key: bytes, context: bytes) -> bytes:
        wrapped: bytes = self._measure("wrap", self._provider.wrap, key, context)
        return wrapped

    def unwrap(self, key_id: str, blob: bytes, context: bytes) -> bytes:
        key: bytes = self._measure("unwrap", self._provider.unwrap, key_id, blob, context)
        return key

    def check_health(self) -> None:
        self._measure("check", self._provider.check_health)

    def _measure(self, operation: str, call: Callable[..., Any], *arguments: object) -> Any:
        started = time.perf_counter()
        try:
            with span("provider", scheme=self._scheme, operation=operation):
                return call(*arguments)
        except Exception as error:
            provider_errors(self._scheme, operation, type(error).__name__).inc()
            raise
        finally:
            provider_seconds(self._scheme, operation).observe(time.perf_counter() - started)

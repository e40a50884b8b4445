"""A key provider whose calls are counted, timed and traced, by the kind it is of."""

import time
from collections.abc import Callable
from typing import Any

from secrets_app.crypto.provider import KeyProvider
from secrets_app.crypto.wrapping import WrappingProvider
from secrets_app.metrics import provider_errors, provider_seconds
from secrets_app.tracing import span


class InstrumentedProvider(WrappingProvider):
    """`scheme` is that of the provider's URL."""

    def __init__(self, provider: KeyProvider, *, scheme: str) -> None:
        super().__init__(provider)
        self._scheme = scheme

    def _ask(self, operation: str, call: Callable[..., Any], *arguments: object) -> Any:
        started = time.perf_counter()
        try:
            with span("provider", scheme=self._scheme, operation=operation):
                return call(*arguments)
        except Exception as error:
            provider_errors(self._scheme, operation, type(error).__name__).inc()
            raise
        finally:
            provider_seconds(self._scheme, operation).observe(time.perf_counter() - started)

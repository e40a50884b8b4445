"""What wraps a key provider and stands in its place."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from secrets_app.crypto.provider import KeyProvider


class WrappingProvider(ABC):
    """A key provider that hands each call on to another one, through `_ask`.

    What needs no call (the names of keys, whether the context is bound) is the other one's as it is.
    """

    def __init__(self, provider: KeyProvider) -> None:
        self._provider = provider

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
        wrapped: bytes = self._ask("wrap", self._provider.wrap, key, context)
        return wrapped

    def unwrap(self, key_id: str, blob: bytes, context: bytes) -> bytes:
        key: bytes = self._ask("unwrap", self._provider.unwrap, key_id, blob, context)
        return key

    def check_health(self) -> None:
        self._ask("check", self._provider.check_health)

    @abstractmethod
    def _ask(self, operation: str, call: Callable[..., Any], *arguments: object) -> Any:
        """Make the call and return its result; raise what it raises. `operation`: wrap, unwrap, check."""

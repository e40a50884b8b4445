from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from secrets_app.crypto.provider import KeyProvider
from secrets_app.keys import build_provider


class Backend(Protocol):
    """One kind of key provider with two keys in it, and what must never show of it."""

    url: str
    other_url: str
    secrets: list[str]


class RemoteBackend(Backend, Protocol):
    """One that can be away, slow, or have its key switched off."""

    def down(self) -> AbstractContextManager[None]: ...

    def stalled(self) -> AbstractContextManager[None]: ...

    def disabled(self) -> AbstractContextManager[None]: ...


def provider_of(backend: Backend) -> KeyProvider:
    """A provider as the app builds it from its URL, not used yet."""
    return build_provider(backend.url)


@contextmanager
def undone(do: object, undo: object) -> Iterator[None]:
    """Run `do` now and `undo` at the end, whatever happened."""
    do()  # type: ignore[operator]
    try:
        yield
    finally:
        undo()  # type: ignore[operator]

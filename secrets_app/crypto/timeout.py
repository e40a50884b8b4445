"""A key provider that always answers in time, whatever the device or network behind it does."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from secrets_app.crypto.provider import KeyProvider
from secrets_app.crypto.wrapping import WrappingProvider
from secrets_app.errors import ProviderUnavailable

# More than this many calls at once wait for each other: a stalled provider takes no more threads.
_CALLS_AT_ONCE = 16


class TimeoutProvider(WrappingProvider):
    """Give each call of another provider `timeout_s` seconds.

    Calls run on threads of their own, since neither a name lookup nor a call into a vendor's library
    can be broken off; one that hangs is left behind. While the provider is away one caller at a time
    asks it and the others are refused at once, so that they do not queue up behind each timeout.
    """

    def __init__(self, provider: KeyProvider, *, timeout_s: float) -> None:
        super().__init__(provider)
        self._timeout_s = timeout_s
        self._slots = threading.BoundedSemaphore(_CALLS_AT_ONCE)
        self._is_away = False
        self._asking = threading.Lock()

    def _ask(self, operation: str, call: Callable[..., Any], *arguments: object) -> Any:
        if not self._is_away:
            return self._call(call, arguments)
        if not self._asking.acquire(blocking=False):
            raise ProviderUnavailable
        try:
            return self._call(call, arguments)
        finally:
            self._asking.release()

    def _call(self, call: Callable[..., Any], arguments: tuple[object, ...]) -> Any:
        try:
            result = self._in_time(call, arguments)
        except ProviderUnavailable:
            self._is_away = True
            raise
        except Exception:
            self._is_away = False  # it answered, with a no
            raise
        self._is_away = False
        return result

    def _in_time(self, call: Callable[..., Any], arguments: tuple[object, ...]) -> Any:
        answer: Future[Any] = Future()

        def run() -> None:
            try:
                answer.set_result(call(*arguments))
            except BaseException as error:
                answer.set_exception(error)
            finally:
                self._slots.release()

        if not self._slots.acquire(timeout=self._timeout_s):
            raise ProviderUnavailable("The key provider is busy with calls that do not end.")
        # A daemon, so that one that hangs does not keep the process from ending.
        threading.Thread(target=run, name="key-provider", daemon=True).start()
        try:
            return answer.result(self._timeout_s)
        except TimeoutError:
            raise ProviderUnavailable("The key provider did not answer in time.") from None

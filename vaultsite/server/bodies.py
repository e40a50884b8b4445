"""Request bodies, read on the event loop: no thread waits for a slow sender, and memory is bounded."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from vaultsite.server.headers import Refused

Receive = Callable[[], Awaitable[dict[str, Any]]]

# A body may take GRACE_S in all, and longer only while it arrives at LEAST_RATE (bytes/s) or faster.
GRACE_S = 10.0
LEAST_RATE = 64 * 1024
# This much of each body is free. What is more draws on a budget of the whole process, of which one
# address gets a part at most.
FREE_BYTES = 64 * 1024
_BUDGET_BYTES = 64 * 1024 * 1024
_SHARES = 4


class Gone(Exception):
    """The client closed its connection before its request was complete."""


class Bodies:
    """Reads bodies of at most `longest` bytes each; a longer one is cut after that."""

    def __init__(self, *, longest: int, budget: int | None = None) -> None:
        self._longest = longest
        self._left = max(_BUDGET_BYTES, _SHARES * longest) if budget is None else budget
        self._share = max(longest, self._left // _SHARES)
        self._drawn_by: dict[str | None, int] = {}

    def drawn(self, size: int) -> int:
        """Give how much of the budget a body of `size` bytes holds."""
        return max(0, size - FREE_BYTES)

    def give_back(self, size: int, address: str | None = None) -> None:
        """Free what a body of `size` bytes held, when its request is answered."""
        self._draw(-self.drawn(size), address)

    def _draw(self, size: int, address: str | None) -> None:
        if not size:
            return
        self._left -= size
        drawn = self._drawn_by.pop(address, 0) + size
        if drawn:
            self._drawn_by[address] = drawn

    def _is_too_much(self, address: str | None) -> bool:
        return self._left < 0 or self._drawn_by.get(address, 0) > self._share

    async def read(
        self,
        receive: Receive,
        length: int | None,
        *,
        address: str | None = None,
        longest: int | None = None,
    ) -> bytes:
        """Wait for the whole body. `length` is its Content-Length; None: it is sent in chunks.

        `address` is the client's; `longest` replaces the bound of all bodies. Raises Refused: 400 when
        the body is not framed as HTTP demands, 408 when it is too slow, 503 when the process holds too
        many large bodies, of all or of this address. Raises Gone. What was returned is to be given back.
        """
        most = self._longest if longest is None else longest
        body = bytearray()  # not a list: parts may be single bytes
        size = 0
        done = False
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout_at(started + GRACE_S) as limit:
                while not done:
                    try:
                        message = await receive()
                    except Exception:  # granian's, such as for a broken chunk
                        raise Refused(400, "The body is not framed as HTTP demands.") from None
                    if message["type"] == "http.disconnect":
                        raise Gone
                    part = message["body"]
                    before, size = size, size + len(part)
                    self._draw(self.drawn(size) - self.drawn(before), address)
                    if size > FREE_BYTES and self._is_too_much(address):
                        raise Refused(503, "Too many large bodies are being received.")
                    body += part
                    done = size >= most or size == length or not message.get("more_body")
                    limit.reschedule(started + GRACE_S + size / LEAST_RATE)
        except TimeoutError:
            raise Refused(408, "The body did not arrive in time.") from None
        finally:
            if not done:
                self.give_back(size, address)
        return bytes(body)

"""Clients that send or read slowly, many at once, and what the others notice meanwhile."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

HALF_HEAD = b"PUT /v1/vaults/x HTTP/1.1\r\nHost: 127.0.0.1\r\nX-"
HALF_BODY = (
    b"PUT /v1/vaults/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Authorization: Bearer x\r\n"
    b'Content-Length: 6000000\r\n\r\n{"value":"'
)


@dataclass
class Seen:
    """`waits` are the seconds that each ordinary request took; `statuses` what slow senders got."""

    waits: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)


def allow_many_sockets(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 256)), hard))


@asynccontextmanager
async def slow_senders(port: int, count: int, seen: Seen, *, body: int = 0) -> AsyncIterator[None]:
    """A third sends half a head, a third half a body, a third a body of a byte a second.

    With `body`, all send so many bytes of a body at once and then nothing. All stay for the block.
    """
    kinds = [HALF_BODY + b"x" * body] if body else [HALF_HEAD, HALF_BODY, HALF_BODY]
    tasks = [
        asyncio.create_task(_sender(port, kinds[number % len(kinds)], number % 3 == 2, seen))
        for number in range(count)
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _sender(port: int, start: bytes, is_trickling: bool, seen: Seen) -> None:
    """Comes back as soon as it is cut off."""
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            answer = asyncio.create_task(reader.readline())
            try:
                writer.write(start)
                await writer.drain()
                while is_trickling and not answer.done():
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(1)
                line = await answer
                if line:
                    seen.statuses.append(int(line.split()[1]))
            finally:
                answer.cancel()
                await _close(writer)
        await asyncio.sleep(0.2)


async def ask_meanwhile(port: int, requests: list[bytes], seen: Seen, seconds: float) -> None:
    """Send each of the requests anew, one after the other, for so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for request in requests:
            started = time.monotonic()
            try:
                async with asyncio.timeout(30):
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.write(request)
                    line = await reader.readline()
                    await _close(writer)
                if line.split()[1:2] != [b"200"]:
                    seen.failures.append(line.decode())
            except (OSError, TimeoutError) as error:
                seen.failures.append(repr(error))
            seen.waits.append(time.monotonic() - started)
        await asyncio.sleep(0.1)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


def get(path: str, token: str = "") -> bytes:
    """A whole GET request."""
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{bearer}Connection: close\r\n\r\n".encode()

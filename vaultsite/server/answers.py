"""Answers on their way to the client. Slow readers take no thread, and none is waited for without end."""

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

# What is longer is sent piece by piece, each when the client took the one before.
PIECE_BYTES = 128 * 1024
# An answer may take GRACE_S in all, and longer only while it is read at LEAST_RATE (bytes/s) or faster.
GRACE_S = 30.0
LEAST_RATE = 64 * 1024
# After so long without progress the kernel gives a connection up that has something to be read.
_UNREAD_MS = 30_000


def send_whole(send: Send, status: int, headers: Headers, content: bytes) -> None:
    """Hand an answer to granian from any thread. It takes both messages at once and waits for nothing."""
    send({"type": "http.response.start", "status": status, "headers": headers})
    send({"type": "http.response.body", "body": content})


class Paced:
    """Sends one long answer, on the event loop. Each call raises TimeoutError when the client reads too
    slowly; what is left is then dropped, and the connection ends."""

    def __init__(self, send: Send, status: int, headers: Headers) -> None:
        self._send = send
        self._start = {"type": "http.response.start", "status": status, "headers": headers}
        self._started_at = 0.0
        self._size = 0

    async def write(self, content: bytes) -> None:
        loop = asyncio.get_running_loop()
        if not self._started_at:
            self._started_at = loop.time()
            await self._send(self._start)
        view = memoryview(content)
        for position in range(0, len(view), PIECE_BYTES):
            piece = bytes(view[position : position + PIECE_BYTES])
            async with asyncio.timeout_at(self._started_at + GRACE_S + self._size / LEAST_RATE):
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            self._size += len(piece)

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def give_up_unread_connections() -> None:
    """Bound how long an answer may wait unread (TCP_USER_TIMEOUT, RFC 5482), for all connections that are
    accepted from now on: they have it from the socket that listens."""
    if sys.platform != "linux":
        return
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError), socket.socket(fileno=os.dup(int(entry.name))) as found:
            is_tcp = found.family in (socket.AF_INET, socket.AF_INET6)
            if is_tcp and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)

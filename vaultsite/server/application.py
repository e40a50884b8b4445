"""The ASGI application: heads and bodies on the event loop, Django in threads."""

import asyncio
import io
import json
import logging
import re
from collections import deque
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from secrets_app import metrics
from secrets_app.api.problems import CONTENT_TYPE, problem_body
from secrets_app.services.access import client_address
from vaultsite.server.answers import (
    PIECE_BYTES,
    Headers,
    Paced,
    Send,
    give_up_unread_connections,
    send_whole,
)
from vaultsite.server.bodies import Bodies, Gone, Receive
from vaultsite.server.headers import Refused, environ_of
from vaultsite.server.threads import Threads

WSGIApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]
# What is still to be sent: the answer, all of its content, or what makes its content piece by piece.
_Rest = tuple[Paced, bytes, Any]

logger = logging.getLogger("vaultsite.server")

# What has to name its caller: everything of the two doors but the ways to sign in.
_DOOR = re.compile(r"/v1/(?!auth/)|/vault/v1/(?!auth/)")
# The longest body elsewhere: to sign in, and of pages.
PUBLIC_BYTES = 64 * 1024
_TOO_LARGE = Refused(413, f"The body is larger than {PUBLIC_BYTES} bytes.")

# How long the tasks of answered requests may wait for the next request to wake the event loop up.
_FINISH_EVERY_S = 0.1


class Application:
    """Runs a WSGI application with `threads` threads; bodies of more than `longest` bytes are cut.

    `/livez` has a thread of its own, so that it is answered while all others wait for something.
    """

    def __init__(self, application: WSGIApplication, *, threads: int, longest: int) -> None:
        self._application = application
        self._longest = longest
        self._bodies = Bodies(longest=longest)
        self._threads = Threads(threads, name="django")
        self._reserve = Threads(1, name="livez")
        self._answered: deque[asyncio.Future[Any]] = deque()
        self._unfinished = 0
        self._is_ticking = False
        self._is_new = True

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("Only HTTP is served.")
        if self._is_new:
            self._is_new = False
            give_up_unread_connections()
        held, address = 0, None
        environ: dict[str, Any] = {}
        try:
            environ = environ_of(scope)
            length = environ.get("CONTENT_LENGTH")
            if "HTTP_TRANSFER_ENCODING" in environ or (length and length != "0"):
                address = client_address(SimpleNamespace(META=environ))
                body = await self._body(environ, receive, length, address)
                held = len(body)
                await self._through_django(environ, body, send)
            else:
                await self._through_django(environ, b"", send)
        except Refused as refused:
            _refuse(send, refused, environ.get("PATH_INFO", ""))
        except Gone:
            return
        finally:
            self._bodies.give_back(held, address)

    async def _body(
        self, environ: dict[str, Any], receive: Receive, length: str | None, address: str | None
    ) -> bytes:
        """Read the body, unless Django refuses the request without it: by the length that it claims, or
        since nobody is named who sends it. Only who names somebody to a door may send a large one."""
        door = _DOOR.match(environ["PATH_INFO"])
        is_named = "HTTP_AUTHORIZATION" in environ or "HTTP_X_VAULT_TOKEN" in environ
        if door and not is_named:
            environ.setdefault("CONTENT_LENGTH", "0")
            return b""
        longest = self._longest if door else PUBLIC_BYTES + 1
        if length is None:
            body = await self._bodies.read(receive, None, address=address, longest=longest)
            if not door and len(body) > PUBLIC_BYTES:
                self._bodies.give_back(len(body), address)
                raise _TOO_LARGE
            environ["CONTENT_LENGTH"] = str(len(body))
            return body
        said = int(length[:20])
        if said > longest:
            if not door:
                raise _TOO_LARGE
            return b""
        return await self._bodies.read(receive, said, address=address, longest=longest)

    async def _through_django(self, environ: dict[str, Any], body: bytes, send: Send) -> None:
        """Wait, while a thread runs Django, and send a long answer. A short one was sent by the thread, and
        nothing is left for which to wake the event loop up."""
        environ["wsgi.input"] = io.BytesIO(body)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_Rest | None] = loop.create_future()

        def job() -> None:
            rest = self._answer(environ, send)
            if rest is None:
                self._answered.append(done)
            else:
                loop.call_soon_threadsafe(_resolve, done, rest)

        threads = self._reserve if environ["PATH_INFO"] == "/livez" else self._threads
        threads.run(job)
        self._unfinished += 1
        self._finish()
        if not self._is_ticking:
            self._is_ticking = True
            loop.call_later(_FINISH_EVERY_S, self._tick, loop)
        try:
            rest = await done
        finally:
            self._unfinished -= 1
        if rest is not None:
            await self._send_rest(rest)

    async def _send_rest(self, rest: _Rest) -> None:
        """Send a long answer piece by piece. A thread is taken for as long as a piece is made, and not
        while the client reads."""
        paced, content, parts = rest
        try:
            if parts is None:
                await paced.write(content)
            else:
                pieces = iter(parts)
                while (piece := await self._in_thread(lambda: next(pieces, None))) is not None:
                    await paced.write(piece)
            await paced.end()
        except TimeoutError:
            logger.info("an answer was not read in time")
        except Exception:
            logger.exception("an answer could not be sent whole")
        finally:
            if parts is not None:
                await self._in_thread(parts.close)

    async def _in_thread(self, act: Callable[[], Any]) -> Any:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()

        def job() -> None:
            try:
                result, error = act(), None
            except Exception as raised:
                result, error = None, raised
            loop.call_soon_threadsafe(_settle, done, result, error)

        self._threads.run(job)
        return await done

    def _finish(self) -> None:
        while self._answered:
            _resolve(self._answered.popleft(), None)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._finish()
        self._is_ticking = self._unfinished > 0
        if self._is_ticking:
            loop.call_later(_FINISH_EVERY_S, self._tick, loop)

    def _answer(self, environ: dict[str, Any], send: Send) -> _Rest | None:
        """Run Django. Gives what is still to be sent, where an answer is long."""
        said: list[Any] = []
        try:
            answer = self._application(environ, lambda *each: said.extend(each))
        except Exception:
            logger.exception("a request failed outside Django")
            send_whole(send, 500, [], b"")
            return None
        status, headers = _spelt(*said)
        if getattr(answer, "streaming", False):
            return Paced(send, status, headers), b"", answer
        try:
            content = b"".join(answer)
            if len(content) > PIECE_BYTES:
                return Paced(send, status, headers), content, None
            send_whole(send, status, headers, content)
        except Exception:
            logger.exception("an answer could not be sent")
        finally:
            answer.close()  # type: ignore[attr-defined]
        return None


def _settle(done: "asyncio.Future[Any]", result: Any, error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)


def _resolve(done: "asyncio.Future[Any]", result: Any) -> None:
    if not done.done():
        done.set_result(result)


def _spelt(status: str, headers: list[tuple[str, str]]) -> tuple[int, Headers]:
    return int(status[:3]), [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers
    ]


def _refuse(send: Send, refused: Refused, path: str) -> None:
    """Answer without Django, with what its answers have: an id, a line in the log, and the count."""
    request_id = uuid4()
    is_vault = path.startswith("/vault/")
    body: Any = {"errors": [refused.detail]}
    if not is_vault:
        body = problem_body(refused.status, detail=refused.detail, request_id=request_id)
    headers = [
        (b"content-type", b"application/json" if is_vault else CONTENT_TYPE.encode()),
        (b"x-request-id", str(request_id).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    if refused.status == 503:
        headers.append((b"retry-after", b"1"))
    send_whole(send, refused.status, headers, json.dumps(body).encode())
    metrics.answers("none", "other", refused.status).inc()
    told = {"request_id": str(request_id), "route": "none", "status": refused.status}
    logger.info("%s %d", refused.detail, refused.status, extra=told)

"""The ASGI application: heads and bodies on the event loop, Django in threads."""

import asyncio
import io
import json
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any
from uuid import uuid4

from secrets_app import metrics
from secrets_app.api.problems import CONTENT_TYPE, problem_body
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

logger = logging.getLogger("vaultsite.server")

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
        held = 0
        try:
            environ = environ_of(scope)
            length = environ.get("CONTENT_LENGTH")
            if "HTTP_TRANSFER_ENCODING" in environ or (length and length != "0"):
                body = await self._body(environ, receive, length)
                held = len(body)
                await self._through_django(environ, body, send)
            else:
                await self._through_django(environ, b"", send)
        except Refused as refused:
            _refuse(send, refused)
        except Gone:
            return
        finally:
            self._bodies.give_back(held)

    async def _body(self, environ: dict[str, Any], receive: Receive, length: str | None) -> bytes:
        """Read the body, unless Django refuses the request without it: by the length that it claims, or
        since nobody is named who sends it."""
        path = environ["PATH_INFO"]
        needs_caller = path.startswith("/v1/") and not path.startswith("/v1/auth/")
        if needs_caller and "HTTP_AUTHORIZATION" not in environ:
            environ.setdefault("CONTENT_LENGTH", "0")
            return b""
        if length is None:
            body = await self._bodies.read(receive, None)
            environ["CONTENT_LENGTH"] = str(len(body))
            return body
        said = int(length[:20])
        return b"" if said > self._longest else await self._bodies.read(receive, said)

    async def _through_django(self, environ: dict[str, Any], body: bytes, send: Send) -> None:
        """Wait, while a thread runs Django, and send a long answer. A short one was sent by the thread, and
        nothing is left for which to wake the event loop up."""
        environ["wsgi.input"] = io.BytesIO(body)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[Paced, bytes] | None] = loop.create_future()

        def job() -> None:
            rest = self._answer(environ, send, loop)
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
            paced, content = rest
            try:
                await paced.write(content)
                await paced.end()
            except TimeoutError:
                logger.info("an answer was not read in time")

    def _finish(self) -> None:
        while self._answered:
            _resolve(self._answered.popleft(), None)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._finish()
        self._is_ticking = self._unfinished > 0
        if self._is_ticking:
            loop.call_later(_FINISH_EVERY_S, self._tick, loop)

    def _answer(
        self, environ: dict[str, Any], send: Send, loop: asyncio.AbstractEventLoop
    ) -> tuple[Paced, bytes] | None:
        """Run Django. Gives what is still to be sent, where an answer is long."""
        said: list[Any] = []
        try:
            answer = self._application(environ, lambda *each: said.extend(each))
        except Exception:
            logger.exception("a request failed outside Django")
            send_whole(send, 500, [], b"")
            return None
        status, headers = _spelt(*said)
        try:
            if not getattr(answer, "streaming", False):
                content = b"".join(answer)
                if len(content) > PIECE_BYTES:
                    return Paced(send, status, headers), content
                send_whole(send, status, headers, content)
            else:
                paced = Paced(send, status, headers)
                for part in answer:
                    asyncio.run_coroutine_threadsafe(paced.write(part), loop).result()
                asyncio.run_coroutine_threadsafe(paced.end(), loop).result()
        except TimeoutError:
            logger.info("an answer was not read in time")
        except Exception:
            logger.exception("an answer could not be sent")
        finally:
            answer.close()  # type: ignore[attr-defined]
        return None


def _resolve(done: "asyncio.Future[Any]", result: Any) -> None:
    if not done.done():
        done.set_result(result)


def _spelt(status: str, headers: list[tuple[str, str]]) -> tuple[int, Headers]:
    return int(status[:3]), [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers
    ]


def _refuse(send: Send, refused: Refused) -> None:
    """Answer without Django, with what its answers have: an id, a line in the log, and the count."""
    request_id = uuid4()
    body = problem_body(refused.status, detail=refused.detail, request_id=request_id)
    headers = [
        (b"content-type", CONTENT_TYPE.encode()),
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

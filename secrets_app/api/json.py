"""JSON in and out: bounded, strict and without negotiation."""

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.utils import encoders

from secrets_app.http.bodies import max_body_bytes, parse_json, read_body

# Answers in chunks have chunks of this size, or as large as one member.
CHUNK_BYTES = 64 * 1024


class StrictJSONParser(BaseParser):
    """UTF-8 JSON (RFC 8259) of bounded size. Refuses what other parsers read differently: duplicate
    names, NaN and infinities, lone surrogates, a byte order mark."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        context = parser_context or {}
        limit = getattr(context["view"], "max_body_bytes", None) or max_body_bytes()
        raw = read_body(stream, context["request"].META, limit=limit)
        if not raw:
            return {}
        share = getattr(context["view"], "share", None)
        if share is not None:
            share.take_for_body(len(raw))
        try:
            return parse_json(raw)
        except ValueError:
            raise ParseError(
                "The body is not valid JSON in UTF-8, or says something twice."
            ) from None


class AlwaysJSON(BaseContentNegotiation):
    """There is one representation, so `Accept` is not asked: a client that sends none gets it too."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser | None:
        content_type = (request.content_type or "").partition(";")[0].strip().lower()
        return parsers[0] if content_type == StrictJSONParser.media_type else None

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


_encode = json.JSONEncoder(
    ensure_ascii=False,
    allow_nan=False,
    separators=(",", ":"),
    default=encoders.JSONEncoder().default,
).encode


class CompactJSONRenderer(JSONRenderer):
    """JSON whatever the client accepts, indentation parameters included."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else _encode(data).encode()


class ListInChunks:
    """An object with a long list in it, as JSON that is made while it is sent: only a chunk is in memory
    beside what the list is made of.

    `name` and `members` are of the list, `others` the other members of the object. `finished` is called
    when all is sent and when the answer is closed.
    """

    def __init__(
        self,
        name: str,
        members: Iterator[Any],
        others: dict[str, Any],
        finished: Callable[[], None],
    ) -> None:
        self._chunks = self._in_chunks(name, members, others)
        self._finished = finished

    def __iter__(self) -> "ListInChunks":
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give back what is held. The server calls it, also when the client is gone."""
        self._chunks.close()
        self._finished()

    def _in_chunks(
        self, name: str, members: Iterator[Any], others: dict[str, Any]
    ) -> Generator[bytes, None, None]:
        chunk = bytearray(f"{{{_encode(name)}:[".encode())
        for number, member in enumerate(members):
            if number:
                chunk += b","
            chunk += _encode(member).encode()
            if len(chunk) >= CHUNK_BYTES:
                yield bytes(chunk)
                chunk.clear()
        chunk += b"]"
        for other, value in others.items():
            chunk += f",{_encode(other)}:{_encode(value)}".encode()
        yield bytes(chunk + b"}")

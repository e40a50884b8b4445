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

from secrets_app.conf import app_settings
from secrets_app.errors import TooLarge

# JSON may spell one byte of a value in six (`\\u0041`); the rest of a body is small.
_ESCAPE_FACTOR = 6
_REST_BYTES = 256 * 1024
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
        meta = context["request"].META
        declared = meta.get("CONTENT_LENGTH") or "0"
        is_chunked = "HTTP_TRANSFER_ENCODING" in meta  # then what is declared is only a bound
        if not is_chunked and declared.isdecimal() and int(declared[:20]) > limit:
            raise TooLarge("The body", limit)
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise TooLarge("The body", limit)
        if not raw:
            return {}
        share = getattr(context["view"], "share", None)
        if share is not None:
            share.take_for_body(len(raw))
        try:
            data = json.loads(
                raw.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_unique_names
            )
            if b"\\u" in raw:
                json.dumps(data, ensure_ascii=False).encode("utf-8")
        except (ValueError, RecursionError):
            raise ParseError(
                "The body is not valid JSON in UTF-8, or says something twice."
            ) from None
        return data


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
        """Called by the server, also when the client is gone."""
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


def max_body_bytes() -> int:
    """The longest body that is read, in bytes: room for the largest value in its longest spelling."""
    return _ESCAPE_FACTOR * app_settings.MAX_VALUE_BYTES + _REST_BYTES


def _refuse(_: str) -> None:
    raise ValueError("not a JSON number")


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name appears twice")
    return members

"""JSON in and out: bounded, strict and without negotiation."""

import json
from collections.abc import Mapping
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

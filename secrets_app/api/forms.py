"""Bodies as HTML forms send them, where a standard wants them (OAuth: RFC 6749, appendix B)."""

from collections.abc import Mapping
from typing import IO, Any
from urllib.parse import parse_qsl

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from secrets_app.api.json import AlwaysJSON
from secrets_app.http.bodies import read_body

_MOST_FIELDS = 20


class StrictFormParser(BaseParser):
    """Fields of a form in UTF-8, of bounded size and number, each at most once. An empty one counts as left
    out (RFC 6749, 3.2)."""

    media_type = "application/x-www-form-urlencoded"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        context = parser_context or {}
        raw = read_body(stream, context["request"].META, limit=context["view"].max_body_bytes)
        try:
            pairs = parse_qsl(
                raw.decode("ascii"),
                keep_blank_values=True,
                strict_parsing=bool(raw),
                errors="strict",
                max_num_fields=_MOST_FIELDS,
            )
        except ValueError:
            raise ParseError("The body is no form in UTF-8.") from None
        fields = dict(pairs)
        if len(fields) != len(pairs):
            raise ParseError("The form has a field twice.")
        return {name: value for name, value in fields.items() if value}


class JSONOrForm(AlwaysJSON):
    """Takes both kinds of bodies, and answers with JSON."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser | None:
        content_type = (request.content_type or "").partition(";")[0].strip().lower()
        return next((each for each in parsers if each.media_type == content_type), None)

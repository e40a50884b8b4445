"""Read a dotenv file: `NAME=value` a line, quoted as in python-dotenv; nothing is interpolated."""

import io

from dotenv.parser import parse_stream

from secrets_app.sources.candidates import Candidates


def read_dotenv(text: str, candidates: Candidates) -> None:
    """Add each name as a path. A line that cannot be read is refused by its number."""
    for binding in parse_stream(io.StringIO(text, newline="")):
        if binding.error:
            candidates.refuse(f"line {binding.original.line}", "cannot be read")
        elif binding.key is not None and binding.value is None:
            candidates.refuse(binding.key, "has no value")
        elif binding.key is not None:
            candidates.add(binding.key, binding.value)

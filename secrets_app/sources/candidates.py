"""Collect an import's candidates: values by path, and refused entries with their reasons."""

from dataclasses import dataclass

from secrets_app.crypto.plaintext import Plaintext
from secrets_app.errors import InvalidPath
from secrets_app.policy.path import parse_path

_SHOWN_CHARS = 200


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that cannot be imported. `name` is safe for a terminal; `why` repeats nothing of a value."""

    name: str
    why: str


class Candidates:
    """What a source found. `items` may be imported, `refused` may not.

    Each name gets `prefix` and a slash before it. `max_value_bytes` is the longest value that is
    accepted.
    """

    def __init__(self, *, prefix: str = "", max_value_bytes: int) -> None:
        self._prefix = f"{prefix}/" if prefix else ""
        self._max_value_bytes = max_value_bytes
        self._refused_paths: set[str] = set()
        self.items: dict[str, Plaintext] = {}
        self.refused: list[Refused] = []

    def add(self, name: str, value: object) -> None:
        """Add a value, byte for byte; a number as its text. Refuses it if it is no valid candidate."""
        path = self._prefix + name
        if path in self.items or path in self._refused_paths:
            # It is unclear which of the two is meant, so neither is imported.
            self.items.pop(path, None)
            self.refuse(name, "is there more than once")
            return
        try:
            parse_path(path)
        except InvalidPath:
            self.refuse(name, "is no valid path: letters, digits, - and _ in segments joined by /")
            return
        text = _text(value)
        if text is None:
            self.refuse(name, "is neither text nor a number")
            return
        try:
            raw = text.encode()
        except UnicodeEncodeError:
            self.refuse(name, "is not valid Unicode text")
            return
        if len(raw) > self._max_value_bytes:
            self.refuse(name, f"is larger than {self._max_value_bytes} bytes")
            return
        self.items[path] = Plaintext(raw)

    def refuse(self, name: str, why: str) -> None:
        """Refuse an entry, once for each path."""
        path = self._prefix + name
        if path not in self._refused_paths:
            self._refused_paths.add(path)
            self.refused.append(Refused(printable(path), why))


def printable(name: str) -> str:
    """Return a name on one line, short, and without control characters for a terminal."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    return shown if len(shown) <= _SHOWN_CHARS else shown[:_SHOWN_CHARS] + "…"


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return None

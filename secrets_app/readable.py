"""Text that people read: without characters that nobody sees, so that none can pose as another."""

import unicodedata
from functools import cache
from itertools import groupby

_BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def is_readable(text: str, *, allow_newlines: bool) -> bool:
    """Tell whether text has no control (Cc), surrogate (Cs) or format (Cf) characters, or invisible
    letters.

    Prose may have line breaks and the joiners that some scripts need.
    """
    allowed = "\n\r\t\u200c\u200d" if allow_newlines else ""
    return not set(text) & _BLANK_LETTERS and all(
        character in allowed or unicodedata.category(character) not in _UNSEEN for character in text
    )


@cache
def readable_pattern() -> str:
    """Return a regular expression, as JSON Schema has them, for text without line breaks that is readable.
    It leaves out surrogates, which strict JSON does not have, and the few format characters beyond U+FFFF,
    since not every reader of a schema takes a character as one there.
    """
    plane = (c for c in range(0x10000) if unicodedata.category(chr(c)) != "Cs")
    unseen = (c for c in plane if not is_readable(chr(c), allow_newlines=False))
    runs = [
        [c for _, c in run] for _, run in groupby(enumerate(unseen), lambda each: each[1] - each[0])
    ]
    return "^[^" + "".join(rf"\u{run[0]:04x}-\u{run[-1]:04x}" for run in runs) + "]*$"

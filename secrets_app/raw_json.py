"""JSON as it is written: a part of a text, with numbers, order and spaces as they stand there."""

import json

SPACE = " \t\n\r"
_decoder = json.JSONDecoder(parse_int=str, parse_float=str)  # numbers of any length


def find_member(text: str, wanted: str) -> str:
    """Return the text of a member's value; `text` is a valid object that has it, once.

    Raises RecursionError for what is nested too deeply.
    """
    position = _skip(text, _skip(text, 0) + 1)
    while True:
        name, position = _decoder.raw_decode(text, position)
        start = _skip(text, _skip(text, position) + 1)
        _, end = _decoder.raw_decode(text, start)
        if name == wanted:
            return text[start:end]
        position = _skip(text, _skip(text, end) + 1)


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in SPACE:
        position += 1
    return position

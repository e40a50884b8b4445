"""Validate paths (wire contract, part A): policy and storage see exactly one spelling of each."""

import re

from secrets_app.errors import InvalidPath

MAX_PATH_CHARS = 512
SEGMENT = r"[A-Za-z0-9_-]+"
PATH_REGEX = rf"{SEGMENT}(?:/{SEGMENT})*"

_PATH = re.compile(PATH_REGEX)


def parse_path(raw: str) -> str:
    """Return `raw` if it is a valid path; nothing is normalised. Raises InvalidPath."""
    if len(raw) > MAX_PATH_CHARS or _PATH.fullmatch(raw) is None:
        raise InvalidPath
    return raw

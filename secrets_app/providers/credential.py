"""Where a provider's own credential (a PIN, a token) is found: `file:/path` or `env:NAME`."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from secrets_app.errors import ConfigurationError, ProviderError

_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Credential:
    """Names a credential and never holds it: it is read anew each time it is needed."""

    source: str

    @classmethod
    def at(cls, source: str, *, what: str) -> "Credential":
        """Raises ConfigurationError unless `source` is `file:/absolute/path` or `env:NAME`."""
        if re.fullmatch(r"file:/.+|env:[A-Za-z_][A-Za-z0-9_]*", source) is None:
            # It may be the credential itself that was put here, so it is not shown.
            raise ConfigurationError(
                f"{what} must be given as file:/absolute/path or env:NAME, never as itself."
            )
        return cls(source)

    def read(self) -> str:
        """The credential, without the line end after it. Raises ProviderError when it is not there."""
        kind, _, name = self.source.partition(":")
        try:
            if kind == "env":
                text = os.environ[name]
            else:
                with Path(name).open("rb") as stream:
                    text = stream.read(_MAX_BYTES).decode()
        except (OSError, KeyError, UnicodeDecodeError):
            raise ProviderError(
                f"The credential at {self.source} is missing or unreadable."
            ) from None
        text = text.strip("\r\n")
        if not text:
            raise ProviderError(f"The credential at {self.source} is empty.")
        return text

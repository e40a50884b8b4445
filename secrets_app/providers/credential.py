"""Read a provider's own credential (a PIN, a token) from `file:/path` or `env:NAME`."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from secrets_app.errors import ConfigurationError, ProviderError

_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Credential:
    """The name of a credential. The credential is not kept, but read each time it is needed."""

    source: str

    @classmethod
    def at(cls, source: str, *, what: str) -> "Credential":
        """Name a credential. Raises ConfigurationError unless `source` is `file:/absolute/path` or
        `env:NAME`.
        """
        if re.fullmatch(r"file:/.+|env:[A-Za-z_][A-Za-z0-9_]*", source) is None:
            # Somebody may have set the credential itself here, so the text is not shown.
            raise ConfigurationError(
                f"{what} must be given as file:/absolute/path or env:NAME, never as itself."
            )
        return cls(source)

    def read(self) -> str:
        """Return the credential without a final line end. Raises ProviderError if there is none."""
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

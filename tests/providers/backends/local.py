import base64
import os
from pathlib import Path


class LocalBackend:
    """Root keys in a file, or in a variable."""

    def __init__(self, kind: str, folder: Path) -> None:
        keys = [base64.b64encode(os.urandom(32)).decode() for _ in range(2)]
        self.secrets = [keys[0]]
        self.url, self.other_url = (
            self._keep(kind, folder, f"ROOT_{n}_{os.urandom(4).hex()}", key)
            for n, key in enumerate(keys)
        )

    def _keep(self, kind: str, folder: Path, name: str, key: str) -> str:
        if kind == "env":
            os.environ[name] = key
            return f"env:{name}"
        file = folder / name
        file.write_text(key)
        file.chmod(0o600)
        return f"file:{file}"

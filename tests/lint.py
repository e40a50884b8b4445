"""`make lint`: every check, one after the other; all are run even when one fails."""

import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent
CHECKS = (
    ("ruff", [BIN / "ruff", "check", "."]),
    ("format", [BIN / "ruff", "format", "--check", "."]),
    ("types", [BIN / "mypy"]),
    ("imports", [BIN / "lint-imports"]),
    (
        "migrations",
        [
            *(sys.executable, "-m", "django", "makemigrations", "--check", "--dry-run"),
            *("--settings", "tests.settings"),
        ],
    ),
)


def main() -> int:
    failed = []
    for name, command in CHECKS:
        print(f"── {name}", flush=True)
        if subprocess.run([str(part) for part in command], check=False).returncode:
            failed.append(name)
    print(f"lint: {'failed in ' + ', '.join(failed) if failed else 'clean'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

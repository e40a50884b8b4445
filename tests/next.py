"""`make test-next`: the suite on the newest Django 6.x under a newer Python, in an environment of its own.

    python -m tests.next [--python /path/to/python3.13] [arguments of tests.run …]

Everything but Django is pinned as in requirements/dev.txt; which Django was taken is printed.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".venv" / "next"
PYTHONS = ("3.13", "3.12")
DJANGO = "Django>=6,<7"


def find_python() -> str | None:
    """The newest that is supported, on PATH or of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in PYTHONS:
        on_path = shutil.which(f"python{version}")
        # A shim of pyenv is there for versions that are not switched on, too, and then does nothing.
        if on_path and "shims" not in on_path:
            return on_path
        for found in sorted(pyenv.glob(f"{version}*/bin/python")):
            return str(found)
    return None


def install(python: str) -> Path:
    """Make or bring up to date the environment; returns its Python."""
    requirements = ROOT / "requirements" / "dev.txt"
    wanted = hashlib.sha256(requirements.read_bytes() + python.encode()).hexdigest()
    mark, own = HOME / "made-of", HOME / "bin" / "python"
    pip = [str(own), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if not mark.exists() or mark.read_text() != wanted:
        subprocess.run([python, "-m", "venv", "--clear", str(HOME)], check=True)
        subprocess.run([*pip, "--require-hashes", "-r", str(requirements)], check=True)
        mark.write_text(wanted)
    subprocess.run([*pip, "--upgrade", DJANGO], check=True)
    return own


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=find_python())
    options, arguments = parser.parse_known_args()
    if options.python is None:
        sys.exit(f"No Python {' or '.join(PYTHONS)} was found. Name one with --python.")
    own = install(options.python)
    versions = "import sys, django; print('Django', django.__version__, 'Python', sys.version)"
    subprocess.run([str(own), "-c", versions], check=True)
    return subprocess.run(
        [str(own), "-m", "tests.run", *arguments], cwd=ROOT, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())

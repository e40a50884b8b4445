"""The scripts that the documentation shows, run as a reader would run them."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

_DOCS = Path(__file__).resolve().parent.parent / "docs"


def run_script(
    page: str, proof: dict[str, Any], *arguments: str, folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run the one Python script of a page with a file that holds `proof`."""
    (script,) = re.findall(r"```python\n(.*?)```", (_DOCS / page).read_text(), re.DOTALL)
    (folder / "check.py").write_text(script)
    (folder / "proof.json").write_text(json.dumps(proof))
    return subprocess.run(
        [sys.executable, "check.py", "proof.json", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

"""Where results go: raw into benchmarks/results/, as tables and charts into the docs."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
DOCS = ROOT / "docs"


def today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


def machine() -> str:
    model = "processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB"


def versions() -> dict[str, str]:
    packages = {"Django": "Django", "granian": "granian", "psycopg": "psycopg"}
    return {"Python": platform.python_version()} | {
        name: version(package) for name, package in packages.items()
    }


def save(name: str, result: dict[str, Any]) -> None:
    """The raw figures, to be looked at later."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")


def put(page: str, marker: str, text: str) -> None:
    """Replace what stands between `<!-- marker -->` and `<!-- /marker -->` of a page of the docs."""
    file = DOCS / page
    head, opening, rest = file.read_text().partition(f"<!-- {marker} -->")
    _, closing, tail = rest.partition(f"<!-- /{marker} -->")
    if not opening or not closing:
        raise SystemExit(f"docs/{page} has no place for {marker}")
    file.write_text(f"{head}{opening}\n{text.strip()}\n{closing}{tail}")


def median(rounds: Sequence[dict[str, float]], figure: str) -> float:
    return statistics.median(each[figure] for each in rounds)


def ratios(ours: Sequence[dict[str, float]], theirs: Sequence[dict[str, float]]) -> list[float]:
    """Of the rates, round by round, in order of size."""
    return sorted(a["per_s"] / b["per_s"] for a, b in zip(ours, theirs, strict=True))


def spread(values: Sequence[float]) -> str:
    """The median and what it lies between."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"

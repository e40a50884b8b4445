"""How commands say what came of them: to people line by line, to scripts as one JSON object."""

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.core.management.base import OutputWrapper


def add_json_option(parser: ArgumentParser) -> None:
    """Add `--json`, which every command that tells of something has."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_dry_run_option(parser: ArgumentParser) -> None:
    """Add `--dry-run`, which every command that changes something in bulk has."""
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")


def write_result(stdout: OutputWrapper, result: Mapping[str, Any], *, as_json: bool) -> None:
    """Write numbers, lists of ids and counts by root key, each under its name."""
    if as_json:
        stdout.write(json.dumps(result))
        return
    for what, value in result.items():
        stdout.write(f"{what.replace('_', ' ')}: {_shown(value)}")


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return ", ".join(f"{number} under {key}" for key, number in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return value

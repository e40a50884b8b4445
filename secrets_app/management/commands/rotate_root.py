"""Wrap every vault key anew under the active root key, the first in ROOT_KEY_URLS.

This is also how one moves to another key provider. Every running server has to know both root keys
before (docs/keys.md, «Rotating the root key»). Stopped at any moment, the next run finishes.
"""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from secrets_app.management.keys import FOUND, key_errors
from secrets_app.management.progress import progress
from secrets_app.services.audit import OPERATOR
from secrets_app.services.keys import count_rewrappable, rotate_root


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--all",
            action="store_true",
            help="also those that are under the active root key, such as after a rotation inside"
            " the provider",
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        with key_errors(advice="Run the command again to go on."):
            counts = count_rewrappable(every=options["all"])
            if options["dry_run"]:
                self._say({"to_rewrap": counts}, options["json"])
                return
            total = sum(counts.values())
            with progress("keys", total=total, quiet=options["json"]) as advance:
                done = rotate_root(every=options["all"], actor=OPERATOR, on_progress=advance)
                self._say(
                    {
                        "active_root_key": done.active_root_key_id,
                        "rewrapped": done.rewrapped,
                        "failed": done.failed,
                    },
                    options["json"],
                )
        if done.failed:
            raise CommandError(
                f"{len(done.failed)} keys do not open and stay as they were. See verify_vault.",
                returncode=FOUND,
            )

    def _say(self, result: dict[str, Any], as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(result))
            return
        for what, value in result.items():
            if isinstance(value, dict):
                value = ", ".join(f"{n} under {key}" for key, n in value.items()) or "none"
            elif isinstance(value, list):
                value = ", ".join(value) or "none"
            self.stdout.write(f"{what.replace('_', ' ')}: {value}")

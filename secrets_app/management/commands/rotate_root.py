"""Wrap every vault key anew under the active root key, the first in ROOT_KEY_URLS.

This is also how one moves to another key provider. Every running server has to know both root keys
before (docs/keys.md, «Rotating the root key»). Stopped at any moment, the next run finishes.
"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from secrets_app.management.keys import FOUND, key_errors
from secrets_app.management.progress import progress
from secrets_app.management.results import add_dry_run_option, add_json_option, write_result
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
        add_dry_run_option(parser)
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        with key_errors(advice="Run the command again to go on."):
            counts = count_rewrappable(every=options["all"])
            if options["dry_run"]:
                write_result(self.stdout, {"to_rewrap": counts}, as_json=options["json"])
                return
            total = sum(counts.values())
            with progress("keys", total=total, quiet=options["json"]) as advance:
                done = rotate_root(every=options["all"], actor=OPERATOR, on_progress=advance)
                write_result(
                    self.stdout,
                    {
                        "active_root_key": done.active_root_key_id,
                        "rewrapped": done.rewrapped,
                        "failed": done.failed,
                    },
                    as_json=options["json"],
                )
        if done.failed:
            raise CommandError(
                f"{len(done.failed)} keys do not open and stay as they were. See verify_vault.",
                returncode=FOUND,
            )

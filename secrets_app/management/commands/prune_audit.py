"""Remove old events of the audit log, if they were sealed and exported. Their seals stay, so that the
rest can still be verified.
"""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from secrets_app.management.keys import FOUND, key_errors
from secrets_app.management.progress import progress
from secrets_app.management.results import add_dry_run_option, add_json_option
from secrets_app.management.times import instant
from secrets_app.services.audit import OPERATOR, Pruned, count_prunable, prune_events


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--before", required=True, metavar="TIME", help="2026-01-31 or with a time"
        )
        add_dry_run_option(parser)
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        before = instant(options["before"])
        plan = count_prunable(before=before)
        done = Pruned(plan.seals, plan.events)
        if not options["dry_run"]:
            with (
                key_errors(advice="Run it again to go on."),
                progress("seals", total=plan.seals, quiet=options["json"]) as advance,
            ):
                done = prune_events(before=before, actor=OPERATOR, on_progress=advance)
        if options["json"]:
            self.stdout.write(json.dumps(asdict(done) | {"not_exported": plan.not_exported}))
        else:
            what = "would be removed" if options["dry_run"] else "removed"
            self.stdout.write(f"{done.events} events of {done.seals} seals {what}")
            if plan.not_exported:
                self.stdout.write(
                    f"{plan.not_exported} older seals stay: they were not exported (export_audit)"
                )
        if done.altered:
            numbers = ", ".join(map(str, done.altered[:20]))
            raise CommandError(
                f"{len(done.altered)} seals ({numbers}) or their events are not as they were sealed and"
                " exported. They stay: run verify_audit.",
                returncode=FOUND,
            )

"""Remove old events of the audit log: only those that were sealed and exported. Their seals stay, so that
what remains can still be verified."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from secrets_app.management.keys import key_errors
from secrets_app.management.progress import progress
from secrets_app.management.times import instant
from secrets_app.services.audit import OPERATOR
from secrets_app.services.audit.prune import count_prunable, prune_events


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--before", required=True, metavar="TIME", help="2026-01-31 or with a time"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        before = instant(options["before"])
        plan = count_prunable(before=before)
        seals, events = plan.seals, plan.events
        if not options["dry_run"]:
            with (
                key_errors(advice="Run it again to go on."),
                progress("seals", total=plan.seals, quiet=options["json"]) as advance,
            ):
                seals, events = prune_events(before=before, actor=OPERATOR, on_progress=advance)
        if options["json"]:
            told = {"seals": seals, "events": events, "not_exported": plan.not_exported}
            self.stdout.write(json.dumps(told))
        else:
            what = "would be removed" if options["dry_run"] else "removed"
            self.stdout.write(f"{events} events of {seals} seals {what}")
            if plan.not_exported:
                self.stdout.write(
                    f"{plan.not_exported} older seals stay: they were not exported (export_audit)"
                )

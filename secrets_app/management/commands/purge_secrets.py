"""Destroy for good what was deleted longer ago than DELETED_RETENTION_DAYS. Safe to repeat."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from secrets_app.management.progress import progress
from secrets_app.management.results import add_json_option
from secrets_app.services.secrets import count_purgeable, purge_deleted


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="only say what would be destroyed"
        )
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        counted = count_purgeable(now=now)
        if options["dry_run"]:
            self._say(asdict(counted), "would destroy", options["json"])
            return
        with progress("secrets", total=counted.secrets, quiet=options["json"]) as advance:
            purged = purge_deleted(now=now, on_progress=advance)
        self._say(asdict(purged), "destroyed", options["json"])

    def _say(self, counts: dict[str, int], verb: str, as_json: bool) -> None:
        text = ", ".join(f"{number} {what.replace('_', ' ')}" for what, number in counts.items())
        self.stdout.write(json.dumps(counts) if as_json else f"{verb}: {text}")

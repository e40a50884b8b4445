"""Export the audit log as JSON Lines: events in the order of their seals, each seal after its events.

Seals that were written completely are marked as exported, which prune_audit requires. A file is appended
to and synced to the disk before its seals are marked. An incomplete seal of a killed run is cut off
first and written again. With --follow it goes on with new seals, for a shipper.
"""

import signal
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from secrets_app.errors import CryptoError
from secrets_app.management.appending import AppendingFile
from secrets_app.management.times import instant
from secrets_app.services.audit import OPERATOR, Exported, Selection, export_events


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--output", type=Path, metavar="FILE", help="default: standard output")
        parser.add_argument("--gzip", action="store_true", help="compress")
        parser.add_argument(
            "--from", dest="since", metavar="TIME", help="2026-01-31 or with a time"
        )
        parser.add_argument("--to", dest="until", metavar="TIME", help="up to, not including it")
        parser.add_argument("--after-seal", type=int, default=0, metavar="NUMBER")
        parser.add_argument("--new", action="store_true", help="only what was not exported yet")
        parser.add_argument(
            "--follow", action="store_true", help="as --new, and go on until stopped"
        )
        parser.add_argument(
            "--every", type=float, default=1.0, metavar="SECONDS", help="with --follow; default 1"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["after_seal"] < 0 or not 0.1 <= options["every"] <= 86_400:
            raise CommandError("--after-seal is 0 or more, --every from 0.1 to 86400 seconds.")
        selection = Selection(
            after_seal=options["after_seal"],
            since=options["since"] and instant(options["since"]),
            until=options["until"] and instant(options["until"]),
            only_new=options["new"] or options["follow"],
        )
        if not options["follow"]:
            done = self._export(selection, options)
            self.stderr.write(f"{done.events} events of {done.seals} seals written")
            return
        stop = threading.Event()
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: stop.set())
        while not stop.is_set():
            self._try_export(selection, options)
            stop.wait(options["every"])

    def _try_export(self, selection: Selection, options: dict[str, Any]) -> None:
        """Export, and survive temporary errors: what was not marked is written again."""
        try:
            self._export(selection, options)
        except (DatabaseError, CryptoError) as error:
            self.stderr.write(f"{type(error).__name__}: {error}".strip())
            connection.close()

    def _export(self, selection: Selection, options: dict[str, Any]) -> Exported:
        try:
            with AppendingFile(options["output"], compress=options["gzip"]) as output:
                return export_events(
                    selection=selection, write=output.write, flush=output.flush, actor=OPERATOR
                )
        except OSError as error:
            raise CommandError(f"It cannot be written ({error.strerror}).") from None

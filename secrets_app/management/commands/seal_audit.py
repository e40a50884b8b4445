"""Seal the audit log: once, or every so many seconds as a service. Any number of these may run at once.

With --checkpoint the newest seal is written to a file after each round, to be kept elsewhere.
"""

import json
import os
import signal
import threading
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from secrets_app.errors import CryptoError
from secrets_app.management.files import replace_file
from secrets_app.management.keys import key_errors
from secrets_app.services.audit import latest_checkpoint, seal_events


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--every", type=float, metavar="SECONDS", help="go on until stopped")
        parser.add_argument("--checkpoint", type=Path, metavar="FILE")
        parser.add_argument("--json", action="store_true", help="print one JSON object a round")
        parser.add_argument(
            "--with-parent",
            type=int,
            metavar="PID",
            help="stop when the process that started this, of this number, has ended",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        every = options["every"]
        if every is None:
            with key_errors(advice="Nothing was sealed."):
                self._round(options)
            return
        if not 0.1 <= every <= 86_400:
            raise CommandError("--every is a number of seconds from 0.1 to 86400.")
        stop = _stopped_by_signals()
        due = time.monotonic()
        while not stop.is_set() and options["with_parent"] in (None, os.getppid()):
            if time.monotonic() >= due:
                due = time.monotonic() + every
                self._try_round(options)
            stop.wait(min(1.0, max(0.0, due - time.monotonic())))

    def _try_round(self, options: dict[str, Any]) -> None:
        """Seal, and survive temporary errors: /v1/health reports the lag meanwhile."""
        try:
            self._round(options)
        except (DatabaseError, CryptoError, CommandError) as error:
            self.stderr.write(f"{type(error).__name__}: {error}".strip())
            connection.close()

    def _round(self, options: dict[str, Any]) -> None:
        seals = seal_events()
        if options["checkpoint"]:
            checkpoint = latest_checkpoint()
            if checkpoint is not None:
                replace_file(options["checkpoint"], json.dumps(checkpoint.to_dict()) + "\n")
        told = {
            "seals": len(seals),
            "events": sum(seal.events for seal in seals),
            "last_seal": seals[-1].number if seals else None,
        }
        if options["json"]:
            self.stdout.write(json.dumps(told))
        elif options["every"] is None:
            self.stdout.write(f"{told['events']} events sealed in {told['seals']} seals")


def _stopped_by_signals() -> threading.Event:
    stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    return stop

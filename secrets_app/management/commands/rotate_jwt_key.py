"""Let another key sign tokens from now on. Nobody is signed out, no server is restarted.

The key that signed so far only verifies, until the last of its tokens has expired.
"""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from secrets_app.management.keys import key_errors
from secrets_app.management.results import add_dry_run_option, add_json_option
from secrets_app.services.audit import OPERATOR
from secrets_app.services.keys import rotate_signing_key


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--stage",
            action="store_true",
            help="only publish the new key; the next rotation lets it sign. For services that keep"
            " a copy of the public keys, and for several hosts with a file each",
        )
        add_dry_run_option(parser)
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        with key_errors(advice="Nothing was changed."):
            done = rotate_signing_key(
                stage=options["stage"], dry_run=options["dry_run"], actor=OPERATOR
            )
        if options["json"]:
            self.stdout.write(json.dumps(asdict(done)))
            return
        would = "would sign" if options["dry_run"] else "signs"
        staged = f", {done.staged} is staged" if done.staged else ""
        self.stdout.write(
            f"{done.kid} {would}{staged}; {done.kept} only verify, {done.dropped} dropped"
        )

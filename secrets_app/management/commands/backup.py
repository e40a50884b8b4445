"""Back the database up into a new file, while the service goes on. The root key is not in it.

Restore a PostgreSQL backup with pg_restore. A SQLite backup replaces the database file.
"""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from secrets_app.errors import BackupError
from secrets_app.management.keys import key_errors
from secrets_app.management.results import add_json_option
from secrets_app.services.operations import back_up


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with key_errors(advice="Without an event there is no backup."):
                size = back_up(file=options["file"])
        except BackupError as error:
            raise CommandError(error.detail) from None
        if options["json"]:
            self.stdout.write(json.dumps({"file": str(options["file"]), "bytes": size}))
        else:
            self.stdout.write(f"{size} bytes in {options['file']}")

"""Make a root key: inside a PKCS #11 token, not extractable, or in a key file.

In a file with keys it becomes the last one, which only unwraps until its line is moved to the top.
"""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from secrets_app.management.keys import key_errors
from secrets_app.management.results import add_json_option
from secrets_app.services.audit import OPERATOR
from secrets_app.services.keys import create_root_key


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("url", help="as in ROOT_KEY_URLS: file:/path or pkcs11:…")
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        with key_errors(advice="No key was made."):
            key_id = create_root_key(url=options["url"], actor=OPERATOR)
        self.stdout.write(json.dumps({"id": key_id}) if options["json"] else key_id)

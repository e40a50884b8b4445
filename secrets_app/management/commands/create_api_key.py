"""Make an API key for a person. It is printed only this once."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from secrets_app.errors import InvalidInput
from secrets_app.management.lookup import instant, person_named
from secrets_app.management.results import add_json_option
from secrets_app.services.audit import OPERATOR
from secrets_app.services.identity import create_api_key


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("person", help="what the person signs in with, such as an address")
        parser.add_argument("--name", default="made by an operator")
        parser.add_argument("--expires-at", help="such as 2030-01-31T12:00:00Z")
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        expires_at = options["expires_at"] and instant(options["expires_at"])
        try:
            key, raw = create_api_key(
                principal=person_named(options["person"]),
                name=options["name"],
                actor=OPERATOR,
                expires_at=expires_at,
            )
        except InvalidInput as error:
            raise CommandError(str(error.errors)) from None
        told = {"id": str(key.id), "api_key": raw}
        self.stdout.write(json.dumps(told) if options["json"] else f"{raw}  (id {key.id})")

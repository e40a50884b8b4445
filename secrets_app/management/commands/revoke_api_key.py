"""Revoke anybody's API key, by its id. It, its tokens and the keys made with it are refused at once."""

import json
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from secrets_app.errors import NotFound
from secrets_app.management.results import add_json_option
from secrets_app.services.audit import OPERATOR
from secrets_app.services.identity import revoke_api_key


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=UUID)
        parser.add_argument(
            "--keep-children", action="store_true", help="leave the keys that were made with it"
        )
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            others = revoke_api_key(
                key_id=options["id"],
                principal_id=None,
                actor=OPERATOR,
                keep_children=options["keep_children"],
            )
        except NotFound as error:
            raise CommandError(error.detail) from None
        told = {"id": str(options["id"]), "revoked": True, "children_revoked": others}
        text = f"revoked {options['id']}, and {others} keys made with it"
        self.stdout.write(json.dumps(told) if options["json"] else text)

"""List who may do this now, and by which policy: `whocan <vault> <path> <permission>`."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from secrets_app.errors import InvalidPath
from secrets_app.management.lookup import vault_named
from secrets_app.management.results import add_json_option
from secrets_app.policy.decision import Permission
from secrets_app.policy.path import parse_path
from secrets_app.services.access import who_can


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("vault", help="id, or a name that only one vault has")
        parser.add_argument("path")
        parser.add_argument("permission", choices=[permission.value for permission in Permission])
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            path = parse_path(options["path"])
        except InvalidPath as error:
            raise CommandError(error.errors["path"][0]) from None
        holders = who_can(
            vault=vault_named(options["vault"]),
            path=path,
            permission=Permission(options["permission"]),
        )
        if options["json"]:
            self.stdout.write(json.dumps({"holders": [asdict(h) for h in holders]}, default=str))
            return
        for holder in holders:
            by = ", ".join(map(str, holder.policies)) or holder.reason
            self.stdout.write(f"{holder.type}:{holder.principal_id}  {holder.name}  by {by}")
        if not holders:
            self.stdout.write("nobody")

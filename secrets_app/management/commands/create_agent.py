"""Register an agent for a person. Its key is printed only this once."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from secrets_app.management.lookup import instant, person_named, vault_named
from secrets_app.management.results import add_json_option
from secrets_app.services.audit import OPERATOR
from secrets_app.services.identity import (
    DEFAULT_TTL_S,
    MAX_TTL_S,
    MIN_TTL_S,
    NewAgent,
    register_agent,
)


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("owner", help="what its person signs in with, such as an address")
        parser.add_argument("name")
        parser.add_argument("--description", default="")
        parser.add_argument(
            "--vault", action="append", default=[], help="only this one; repeatable"
        )
        parser.add_argument("--token-ttl", type=int, default=DEFAULT_TTL_S, help="seconds")
        parser.add_argument("--expires-at", help="such as 2030-01-31T12:00:00Z")
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if not MIN_TTL_S <= options["token_ttl"] <= MAX_TTL_S:
            raise CommandError(f"--token-ttl is from {MIN_TTL_S} to {MAX_TTL_S} seconds.")
        if not 0 < len(options["name"]) <= 255 or not options["name"].isprintable():
            raise CommandError("A name has 1 to 255 printable characters.")
        new = NewAgent(
            name=options["name"],
            description=options["description"],
            expires_at=options["expires_at"] and instant(options["expires_at"]),
            token_ttl_seconds=options["token_ttl"],
            vault_ids=tuple(vault_named(each).pk for each in options["vault"]),
        )
        owner = person_named(options["owner"])
        agent, _, raw = register_agent(owner=owner, new=new, actor=OPERATOR)
        told = {"id": str(agent.pk), "api_key": raw}
        self.stdout.write(json.dumps(told) if options["json"] else f"{raw}  (agent {agent.pk})")

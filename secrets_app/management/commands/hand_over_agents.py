"""Hand agents of one person over to another: all that are not deactivated, or those named."""

import json
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from secrets_app.errors import Conflict
from secrets_app.management.lookup import person_named
from secrets_app.services.audit import OPERATOR
from secrets_app.services.identity import agents_of, hand_over_agent


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("owner", help="what the person signs in with, such as an address")
        parser.add_argument("to", help="the same of who gets them")
        parser.add_argument(
            "--agent", type=UUID, action="append", default=[], help="only this one; repeatable"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        owner, to = person_named(options["owner"]), person_named(options["to"])
        theirs = [agent.pk for agent in agents_of(owner_id=owner.pk)]
        chosen = options["agent"] or theirs
        if not set(chosen) <= set(theirs):
            raise CommandError("This person has no such agent that is not deactivated.")
        try:
            for agent_id in chosen:
                hand_over_agent(agent_id=agent_id, to=to, actor=OPERATOR)
        except Conflict as error:
            raise CommandError(error.detail) from None
        told = {"agents": [str(agent_id) for agent_id in chosen], "to": str(to.pk)}
        text = f"{len(chosen)} agents belong to {to.name} now"
        self.stdout.write(json.dumps(told) if options["json"] else text)

"""Deactivate a person: nobody signs in as them, and all their sessions and tokens end at once, those of the
pages too. Their agents stop (`hand_over_agents` keeps them going). `--undo` lets them sign in again."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from secrets_app.services.audit import OPERATOR
from secrets_app.services.identity import activate_person, deactivate_person, principal_for_user
from vaultsite.accounts.models import User


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--undo", action="store_true", help="let the person sign in again")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(email=options["email"]).first()
        if user is None:
            raise CommandError("There is no such person. Nothing was changed.")
        act = activate_person if options["undo"] else deactivate_person
        act(principal_id=principal_for_user(user).id, actor=OPERATOR)
        what = "may sign in again" if options["undo"] else "is deactivated; sessions and tokens end"
        told = {"email": user.email, "active": options["undo"]}
        self.stdout.write(json.dumps(told) if options["json"] else f"{user.email} {what}")

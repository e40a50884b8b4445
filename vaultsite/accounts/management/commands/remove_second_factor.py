"""Remove the second factor of a person who has lost it: `remove_second_factor dora@example.com`."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from secrets_app.services.audit import OPERATOR
from vaultsite.accounts.models import User
from vaultsite.accounts.second_factor import forget_second_factor


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(email=options["email"]).first()
        if user is None or not forget_second_factor(user=user, actor=OPERATOR):
            raise CommandError("There is no such person, or no second factor.")
        told = {"email": user.email, "removed": True}
        text = f"removed the second factor of {user.email}"
        self.stdout.write(json.dumps(told) if options["json"] else text)

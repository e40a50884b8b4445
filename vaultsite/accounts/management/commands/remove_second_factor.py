"""Remove all second factors of a person who has lost them: `remove_second_factor dora@example.com`."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from secrets_app.services.audit import OPERATOR
from vaultsite.accounts.factors import forget_factors
from vaultsite.accounts.models import User


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(email=options["email"]).first()
        if user is None or not forget_factors(user=user, actor=OPERATOR):
            raise CommandError("There is no such person, or no second factor.")
        told = {"email": user.email, "removed": True}
        text = f"removed the second factors of {user.email}"
        self.stdout.write(json.dumps(told) if options["json"] else text)

"""Let one superuser sign in with a password while PASSWORD_SIGN_IN is off, for when the provider is away:

    break_glass root@example.com --for 1h
    break_glass --end

Nobody else's password is taken. A second call takes the place of the first. With `--end`, and with a call
for another superuser, the sessions and tokens of the one before end."""

import json
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from secrets_app.services.audit import OPERATOR
from vaultsite.accounts.break_glass import break_glass, end_break_glass
from vaultsite.accounts.durations import duration
from vaultsite.accounts.models import User

_LONGEST = timedelta(days=1)


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", nargs="?")
        parser.add_argument(
            "--for",
            dest="lifetime",
            type=duration,
            default=timedelta(hours=1),
            metavar="TIME",
            help="30m, 1h (the default), at most 24h",
        )
        parser.add_argument("--end", action="store_true", help="take it back")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["end"] is bool(options["email"]):
            raise CommandError("Name a superuser, or --end.")
        if options["end"]:
            ended = end_break_glass(actor=OPERATOR)
            text = "nobody signs in with a password any more" if ended else "nobody could"
            self.stdout.write(json.dumps({"ended": ended}) if options["json"] else text)
            return
        if options["lifetime"] > _LONGEST:
            raise CommandError("At most 24h.")
        user = User.objects.filter(
            email=options["email"], is_superuser=True, is_active=True
        ).first()
        if user is None or not user.has_usable_password():
            raise CommandError("There is no such active superuser with a password.")
        until = break_glass(user=user, lifetime=options["lifetime"], actor=OPERATOR)
        shown = until.isoformat(timespec="seconds")
        told = {"email": user.email, "until": shown}
        text = f"{user.email} may sign in with a password until {shown}"
        self.stdout.write(json.dumps(told) if options["json"] else text)

"""Invite somebody: a link that makes one account, once. It is printed, and sent where EMAIL_URL is set:

    invite dora@example.com --group payments --for 7d

Whoever opens the link sets a password, or goes on with an account at a provider."""

import json
import os
from argparse import ArgumentParser
from datetime import timedelta
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email
from django.template.loader import render_to_string
from django.urls import reverse

from secrets_app.services.audit import OPERATOR
from vaultsite.accounts.durations import duration
from vaultsite.accounts.invitations import invite
from vaultsite.accounts.models import User

_LONGEST = timedelta(days=30)


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--group", action="append", default=[], metavar="NAME")
        parser.add_argument("--staff", action="store_true", help="may sign in to the admin")
        parser.add_argument(
            "--for",
            dest="lifetime",
            type=duration,
            default=timedelta(days=7),
            metavar="TIME",
            help="how long the link is good: 1h, 7d (the default), at most 30d",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        email = options["email"].strip().lower()
        try:
            validate_email(email)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        if User.objects.filter(email=email).exists():
            raise CommandError("There is a person with this address already.")
        if options["lifetime"] > _LONGEST:
            raise CommandError("At most 30d.")
        base = _base_url()
        token = invite(
            email=email,
            groups=[_group(name) for name in dict.fromkeys(options["group"])],
            is_staff=options["staff"],
            lifetime=options["lifetime"],
            actor=OPERATOR,
        )
        url = base + reverse("invitation", args=[token])
        is_sent = bool(settings.EMAIL_URL) and _send(email, url, options["lifetime"])
        if settings.EMAIL_URL and not is_sent:
            self.stderr.write("The mail could not be sent. Hand the link over yourself.")
        told = {"email": email, "url": url, "sent": is_sent}
        self.stdout.write(json.dumps(told) if options["json"] else url)


def _base_url() -> str:
    if settings.PUBLIC_URL:
        return str(settings.PUBLIC_URL)
    host = next((each for each in settings.ALLOWED_HOSTS if not each.startswith(("*", "."))), None)
    if host is None:
        raise CommandError("Set PUBLIC_URL to where people reach this service.")
    if settings.INSECURE_HTTP:  # `make run`, on this machine
        return f"http://{host}:{os.environ.get('PORT') or 8000}"
    return f"https://{host}"


def _group(name: str) -> Group:
    group = Group.objects.filter(name=name).first()
    if group is None:
        raise CommandError("There is no such group. Nobody was invited.")
    return group


def _send(email: str, url: str, lifetime: timedelta) -> bool:
    days = lifetime.days
    within = f"{days} days" if days > 1 else "a day" if days else "some hours"
    text = render_to_string("accounts/invitation_mail.txt", {"url": url, "within": within})
    try:
        return bool(send_mail("Your invitation to Vaultsite", text, None, [email]))
    except (OSError, SMTPException):
        return False

"""Make a person. Asks for the password, or takes it from the variable VAULTSITE_PASSWORD."""

import getpass
import json
import os
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from secrets_app.services.audit import OPERATOR, SUCCESS, Resource, record
from secrets_app.services.identity import principal_for_user
from vaultsite.accounts.models import User


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--staff", action="store_true", help="may sign in to the admin")
        parser.add_argument("--superuser", action="store_true", help="may do all there")
        parser.add_argument(
            "--no-password", action="store_true", help="for who signs in with a provider alone"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        is_superuser = options["superuser"]
        user = User(
            email=options["email"],
            is_staff=options["staff"] or is_superuser,
            is_superuser=is_superuser,
        )
        try:
            validate_email(user.email)
            password = None if options["no_password"] else _password(user)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        user.set_password(password)
        try:
            with transaction.atomic():
                user.save(force_insert=True)
                principal = principal_for_user(user)
                resource = Resource("principal", principal.id)
                record("user.create", SUCCESS, actor=OPERATOR, resource=resource)
        except IntegrityError:
            if not User.objects.filter(email=user.email).exists():
                raise
            raise CommandError("There is a person with this address already.") from None
        told = {"email": user.email, "principal_id": str(principal.id)}
        self.stdout.write(
            json.dumps(told) if options["json"] else f"made {user.email} ({principal})"
        )


def _password(user: User) -> str:
    password = os.environ.get("VAULTSITE_PASSWORD") or getpass.getpass("Password: ")
    validate_password(password, user)
    return password

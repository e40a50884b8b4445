"""Show which identities of providers sign in to an account, add one, or remove one:

    identity dora@example.com
    identity dora@example.com --add corp 00u1a2b3
    identity dora@example.com --remove https://login.example.com 00u1a2b3

An identity is an issuer and a subject there (`sub`)."""

import json
from argparse import ArgumentParser
from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError, transaction

from secrets_app.services.audit import OPERATOR, SUCCESS, Resource, record
from secrets_app.services.identity import end_tokens, principal_for_user
from vaultsite.accounts.models import ProviderGroup, User
from vaultsite.oidc.id_token import is_subject
from vaultsite.oidc.people import link
from vaultsite.oidc.providers import find_provider


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--add", nargs=2, metavar=("PROVIDER", "SUBJECT"))
        parser.add_argument("--remove", nargs=2, metavar=("ISSUER", "SUBJECT"))
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(email=options["email"]).first()
        if user is None:
            raise CommandError("There is no such person.")
        if options["add"]:
            _add(user, *options["add"])
        if options["remove"]:
            _remove(user, *options["remove"])
        rows = SocialAccount.objects.filter(user=user).order_by("provider", "uid")
        told = [{"issuer": row.provider, "subject": row.uid} for row in rows]
        if options["json"]:
            self.stdout.write(json.dumps({"email": user.email, "identities": told}))
            return
        for each in told:
            self.stdout.write(f"{each['issuer']} {each['subject']}")


def _add(user: User, provider_id: str, subject: str) -> None:
    provider = find_provider(provider_id)
    if provider is None:
        raise CommandError("OIDC_PROVIDERS names no such provider.")
    if not is_subject(subject):
        raise CommandError("This is no subject: the provider's `sub`, as it is in its tokens.")
    try:
        with transaction.atomic():
            link(user=user, provider=provider, subject=subject, by="operator", actor=OPERATOR)
    except IntegrityError:
        raise CommandError("This identity has an account already.") from None


@transaction.atomic
def _remove(user: User, issuer: str, subject: str) -> None:
    """Remove an identity, with the groups that came by it and all that it may have signed in."""
    removed, _ = SocialAccount.objects.filter(user=user, provider=issuer, uid=subject).delete()
    if not removed:
        raise CommandError("This account has no such identity.")
    principal_id = principal_for_user(user).id
    resource = Resource("principal", principal_id)
    for row in ProviderGroup.objects.select_related("group").filter(user=user, issuer=issuer):
        row.delete()
        if not ProviderGroup.objects.filter(user=user, group=row.group).exists():
            user.groups.remove(row.group)
            details = {"group": row.group.name}
            record("group.remove", SUCCESS, actor=OPERATOR, resource=resource, details=details)
    # Of every door: who came by it may have let devices in.
    end_tokens(principal_id=principal_id, actor=OPERATOR)
    record("auth.identity_remove", SUCCESS, actor=OPERATOR, resource=resource)

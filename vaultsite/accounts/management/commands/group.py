"""Make a group, change its members and what they may do in the admin and the audit log:

    group payments --add dora@example.com
    group operators --role operator --add dora@example.com
    group auditors --role auditor --add eve@example.com
    group payments --grant secrets_app.view_auditevent

A policy for the group applies to its members from their next request on."""

import json
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from secrets_app.services.audit import OPERATOR, SUCCESS, Resource, record
from secrets_app.services.identity import ROLES, permissions_of, principal_for_user
from vaultsite.accounts.models import ProviderGroup, User


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--add", action="append", default=[], metavar="EMAIL")
        parser.add_argument("--remove", action="append", default=[], metavar="EMAIL")
        parser.add_argument("--role", choices=ROLES, help="grant all that the role may do")
        parser.add_argument("--grant", action="append", default=[], metavar="PERMISSION")
        parser.add_argument("--withdraw", action="append", default=[], metavar="PERMISSION")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        if not 0 < len(name) <= 150 or not name.isprintable():
            raise CommandError("A group's name has 1 to 150 printable characters.")
        with transaction.atomic():
            group, is_new = Group.objects.get_or_create(name=name)
            if is_new:
                _record("group.create", None, group)
            for email in options["add"]:
                user = _person(email)
                user.groups.add(group)
                _take_over(user, group)
                _record("group.add", user, group)
            for email in options["remove"]:
                user = _person(email)
                user.groups.remove(group)
                _take_over(user, group)
                _record("group.remove", user, group)
            if options["role"]:
                group.permissions.add(*permissions_of(role=options["role"]))
                _record("group.grant", None, group, role=options["role"])
            for permission in options["grant"]:
                group.permissions.add(_permission(permission))
                _record("group.grant", None, group, permission=permission)
            for permission in options["withdraw"]:
                group.permissions.remove(_permission(permission))
                _record("group.withdraw", None, group, permission=permission)
        members = list(User.objects.filter(groups=group).order_by("email"))
        told = {"name": name, "members": [user.email for user in members]}
        text = f"{name}: {', '.join(told['members']) or 'nobody'}"
        self.stdout.write(json.dumps(told) if options["json"] else text)


def _take_over(user: User, group: Group) -> None:
    """From now on the membership is an operator's, and no provider takes it away."""
    ProviderGroup.objects.filter(user=user, group=group).delete()


def _person(email: str) -> User:
    user = User.objects.filter(email=email).first()
    if user is None:
        raise CommandError("There is no such person. Nothing was changed.")
    return user


def _permission(name: str) -> Permission:
    app, _, codename = name.partition(".")
    found = Permission.objects.filter(content_type__app_label=app, codename=codename).first()
    if found is None:
        raise CommandError("There is no such permission. Nothing was changed.")
    return found


def _record(action: str, user: User | None, group: Group, **details: str) -> None:
    """Record an event with the group's name: groups have no UUID, and their names are no secrets."""
    who = None if user is None else principal_for_user(user).id
    resource = Resource("principal" if user else "group", who)
    record(
        action, SUCCESS, actor=OPERATOR, resource=resource, details={"group": group.name} | details
    )

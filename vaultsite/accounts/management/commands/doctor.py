"""Examine the service and say what to do: settings, TLS, database, keys, audit log, clock, disk, and the
providers that people sign in with.

Exit status: 0 nothing is broken (there may be warnings), 1 something is.
"""

from secrets_app.management.commands.doctor import Command as OfTheApp
from secrets_app.services.operations import Finding
from vaultsite.oidc.examination import examine_providers


class Command(OfTheApp):
    help = __doc__

    def examine(self) -> list[Finding]:
        return [*super().examine(), *examine_providers()]

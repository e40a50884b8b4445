"""Open every envelope, show nothing, and report what does not open or is not where it belongs.

Exit status: 0 all is well, 1 something was found, 2 not everything could be looked at.
"""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from secrets_app.management.keys import FOUND, key_errors, noted
from secrets_app.management.lookup import add_vault_argument, chosen_vault_id
from secrets_app.management.progress import progress
from secrets_app.management.results import add_json_option
from secrets_app.services.audit import OPERATOR
from secrets_app.services.keys import (
    Finding,
    check_everything,
    count_checks,
    note_check,
)


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_vault_argument(parser)
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        vault_id = chosen_vault_id(options)
        total = count_checks(vault_id=vault_id)
        found: list[Finding] = []

        def on_finding(finding: Finding) -> None:
            found.append(finding)
            if not options["json"]:
                where = f"{finding.kind} {finding.id} (vault {finding.vault_id})"
                self.stdout.write(f"{where} {finding.problem}")

        with (
            key_errors(advice="Not everything was looked at."),
            progress("rows", total=total, quiet=options["json"]) as advance,
        ):
            check_everything(vault_id=vault_id, on_finding=on_finding, on_progress=advance)
        if options["json"]:
            told = [
                {
                    "kind": finding.kind,
                    "id": str(finding.id),
                    "vault_id": str(finding.vault_id),
                    "problem": finding.problem,
                }
                for finding in found
            ]
            self.stdout.write(json.dumps({"checked": total, "findings": told}))
        elif not found:
            self.stdout.write(f"{total} rows checked, all is well")
        with noted(self.stderr):
            note_check(vault_id=vault_id, findings=len(found), actor=OPERATOR)
        if found:
            raise CommandError(f"{len(found)} findings.", returncode=FOUND)

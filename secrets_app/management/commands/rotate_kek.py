"""Give vaults a new key-encryption key and rewrap every value's key under it, while requests go on.

A stopped run is finished by the next one. Values themselves are not encrypted again.
"""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from secrets_app.management.keys import FOUND, key_errors
from secrets_app.management.lookup import vault_named
from secrets_app.management.progress import progress
from secrets_app.management.results import add_dry_run_option, add_json_option, write_result
from secrets_app.services.audit import OPERATOR
from secrets_app.services.keys import (
    Rotated,
    plan_rotation,
    rotate_vault,
    vaults_with_retired_keys,
)


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("vault", nargs="?", help="id or name of one vault")
        which.add_argument(
            "--older-than",
            type=int,
            metavar="DAYS",
            help="all vaults whose key is this old; 0: all. Finishes stopped rotations too",
        )
        parser.add_argument(
            "--destroy-retired",
            action="store_true",
            help="destroy older keys that nothing has depended on for a day",
        )
        add_dry_run_option(parser)
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        days = options["older_than"]
        if days is not None and not 0 <= days <= 36_500:
            raise CommandError("--older-than is a number of days from 0 to 36500.")
        older_than = None if days is None else timedelta(days=days)
        vault = options["vault"] and vault_named(options["vault"])
        vault_id = vault.pk if vault else None
        plans = plan_rotation(vault_id=vault_id, older_than=older_than)
        if options["dry_run"]:
            new = sum(plan.makes_key for plan in plans)
            plan = {"new_keys": new, "to_move": sum(plan.to_move for plan in plans)}
            write_result(self.stdout, plan, as_json=options["json"])
            return
        todo = [plan.vault_id for plan in plans]
        if options["destroy_retired"] and vault_id is None:
            todo = list(dict.fromkeys([*todo, *vaults_with_retired_keys()]))
        done: list[Rotated] = []
        total = sum(plan.to_move for plan in plans)
        with (
            key_errors(advice="Run the command again to go on."),
            progress("values", total=total, quiet=options["json"]) as advance,
        ):
            done.extend(
                rotate_vault(
                    vault_id=each,
                    older_than=older_than,
                    destroy_retired=options["destroy_retired"],
                    actor=OPERATOR,
                    on_progress=advance,
                )
                for each in todo
            )
        failed = [str(pk) for each in done for pk in each.failed]
        write_result(
            self.stdout,
            {
                "vaults": len(done),
                "new_keys": sum(each.version is not None for each in done),
                "moved": sum(each.moved for each in done),
                "destroyed": sum(each.destroyed for each in done),
                "failed": failed,
            },
            as_json=options["json"],
        )
        if vault is not None and done and done[0].version is None and not options["json"]:
            self.stderr.write("An earlier rotation was finished. Run again for another new key.")
        if failed:
            raise CommandError(
                f"{len(failed)} values or keys do not open and stay as they were. See verify_vault.",
                returncode=FOUND,
            )

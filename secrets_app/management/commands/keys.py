"""Show root keys and vault keys, how old they are, and what depends on them."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import datetime
from io import StringIO
from shutil import get_terminal_size
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone
from rich.console import Console
from rich.table import Table

from secrets_app.management.keys import key_errors, noted
from secrets_app.management.lookup import add_vault_argument, chosen_vault_id
from secrets_app.management.results import add_json_option
from secrets_app.services.audit import OPERATOR
from secrets_app.services.keys import Inventory, note_inventory, take_inventory


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_vault_argument(parser)
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        vault_id = chosen_vault_id(options)
        with key_errors(advice=""):
            inventory = take_inventory(vault_id=vault_id)
        with noted(self.stderr):
            note_inventory(vault_id=vault_id, actor=OPERATOR)
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(inventory)))
            return
        self.stdout.write(_drawn(_root_keys(inventory)) + _drawn(_keks(inventory)))
        self.stdout.write(
            f"{inventory.on_old_root_keys} keys under other root keys than the active one"
            " (manage.py rotate_root moves them)"
        )
        self.stdout.write(
            f"{inventory.values_on_retired_keks} values under retired vault keys"
            " (manage.py rotate_kek moves them)"
        )


def _drawn(table: Table) -> str:
    width = get_terminal_size(fallback=(200, 24)).columns
    drawn = StringIO()
    Console(file=drawn, markup=False, highlight=False, width=width).print(table)
    return drawn.getvalue()


def _root_keys(inventory: Inventory) -> Table:
    table = Table(title="Root keys", title_justify="left")
    for column in ("id", "role", "provider", "vault keys", "audit log"):
        table.add_column(column, overflow="fold")
    for key in inventory.root_keys:
        health = "not configured" if key.role == "missing" else key.error or "ok"
        table.add_row(key.id, key.role, health, str(key.keks), str(key.audit_keys))
    return table


def _keks(inventory: Inventory) -> Table:
    table = Table(title="Vault keys", title_justify="left")
    for column in ("vault", "version", "state", "age in days", "values", "root key"):
        table.add_column(column, overflow="fold")
    for kek in inventory.keks:
        table.add_row(
            kek.vault_name,
            str(kek.version),
            kek.state,
            str(_age_days(kek.created_at)),
            str(kek.values),
            kek.root_key_id,
        )
    return table


def _as_json(inventory: Inventory) -> dict[str, Any]:
    return {
        "root_keys": [asdict(key) for key in inventory.root_keys],
        "vault_keys": [
            asdict(kek)
            | {
                "id": str(kek.id),
                "vault_id": str(kek.vault_id),
                "created_at": kek.created_at.isoformat(),
                "age_days": _age_days(kek.created_at),
            }
            for kek in inventory.keks
        ],
        "keys_under_old_root_keys": inventory.on_old_root_keys,
        "values_under_retired_keys": inventory.values_on_retired_keks,
    }


def _age_days(created_at: datetime) -> int:
    return (timezone.now() - created_at).days

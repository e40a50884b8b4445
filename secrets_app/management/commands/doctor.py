"""Examine the service and say what to do: settings, TLS, database, keys, audit log, clock, disk.

Exit status: 0 nothing is broken (there may be warnings), 1 something is.
"""

import json
from argparse import ArgumentParser
from collections.abc import Iterable
from dataclasses import asdict
from io import StringIO
from shutil import get_terminal_size
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from secrets_app.management.results import add_json_option
from secrets_app.services.operations import Finding, Status, examine

_STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILURE: "bold red"}


class Command(BaseCommand):
    help = __doc__
    requires_system_checks: list[str] = []  # it must also run on a setup that they refuse
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_json_option(parser)

    def examine(self) -> list[Finding]:
        """Return all findings; a project adds its own."""
        return examine()

    def handle(self, *args: Any, **options: Any) -> None:
        findings = self.examine()
        broken = sum(each.status is Status.FAILURE for each in findings)
        if options["json"]:
            told = {"well": not broken, "findings": [asdict(each) for each in findings]}
            self.stdout.write(json.dumps(told))
        else:
            self.stdout.write(_drawn(findings, in_color=self.stdout.isatty()))
        if broken:
            raise CommandError(f"{broken} findings are failures.", returncode=1)


def _drawn(findings: Iterable[Finding], *, in_color: bool) -> str:
    table = Table(show_edge=False)
    for column in ("", "about", "found", "what to do"):
        table.add_column(column, overflow="fold")
    for each in findings:
        table.add_row(each.status, each.about, each.said, each.advice, style=_STYLES[each.status])
    drawn = StringIO()
    width = get_terminal_size(fallback=(160, 24)).columns
    console = Console(
        file=drawn, markup=False, highlight=False, width=width, force_terminal=in_color
    )
    console.print(table)
    return drawn.getvalue()

"""Verify the whole audit log and name what does not fit: events, seals, or a missing end.

Exit status: 0 everything fits, 1 something does not, 2 the log could not be read.
"""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from secrets_app.management.keys import COULD_NOT_LOOK, FOUND, key_errors, noted
from secrets_app.management.progress import progress
from secrets_app.management.results import add_json_option
from secrets_app.services.audit import (
    OPERATOR,
    Checkpoint,
    CheckpointError,
    Report,
    count_checkable,
    note_verification,
    read_checkpoint,
    verify_audit,
)


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--checkpoint", type=Path, metavar="FILE", help="the log must still hold this seal"
        )
        add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        checkpoint = _read(options["checkpoint"]) if options["checkpoint"] else None
        with (
            key_errors(advice="Nothing was verified."),
            progress("events", total=count_checkable(), quiet=options["json"]) as advance,
        ):
            report = verify_audit(checkpoint=checkpoint, on_progress=advance)
        if options["json"]:
            self.stdout.write(json.dumps(_told(report)))
        else:
            for finding in report.findings:
                self.stdout.write(f"{finding.what} {finding.id}: {finding.problem}")
            self.stdout.write(
                f"{report.verified} of {report.checked} events verified,"
                f" {report.unsealed} of them not sealed yet; {report.seals} seals,"
                f" the events of {report.pruned} pruned"
            )
        with noted(self.stderr):
            note_verification(report, actor=OPERATOR)
        if not report.is_valid:
            raise CommandError("The audit log was tampered with.", returncode=FOUND)


def _told(report: Report) -> dict[str, Any]:
    return {"valid": report.is_valid} | asdict(report)


def _read(path: Path) -> Checkpoint:
    try:
        return read_checkpoint(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, CheckpointError) as error:
        reason = error.strerror if isinstance(error, OSError) else CheckpointError.detail
        raise CommandError(f"{path}: {reason}", returncode=COULD_NOT_LOOK) from None

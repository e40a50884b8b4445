"""Import secrets, all or nothing: from a dotenv file, a JSON file, or a Vault or OpenBao server (KV 2).

Exit status: 0 imported, 1 something cannot be imported, so nothing was, 2 the source or a key provider
could not be read.
"""

import json
import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from secrets_app.conf import app_settings
from secrets_app.errors import Conflict, Forbidden, InconsistentVault, InvalidPath, SourceError
from secrets_app.management.keys import COULD_NOT_LOOK, FOUND, key_errors
from secrets_app.management.lookup import person_named, vault_named
from secrets_app.management.moving_in import move_in
from secrets_app.management.progress import progress
from secrets_app.management.results import add_dry_run_option, add_json_option
from secrets_app.policy.path import parse_path
from secrets_app.services.secrets import OnConflict, Plan, import_secrets, plan_import
from secrets_app.sources.candidates import Candidates
from secrets_app.sources.dotenv_file import read_dotenv
from secrets_app.sources.json_file import read_json

_FILES = {"dotenv": read_dotenv, "json": read_json}


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", help="a file (- for standard input), or a server's https://…")
        parser.add_argument(
            "--from", dest="kind", choices=[*_FILES, "hcvault"], required=True, help="what it is"
        )
        parser.add_argument("--vault", required=True, help="id or name of the vault to import into")
        parser.add_argument("--prefix", default="", help="put before each path")
        parser.add_argument("--type", default="password", help="of all secrets")
        parser.add_argument(
            "--on-conflict",
            choices=list(OnConflict),
            default=OnConflict.FAIL,
            help="what to do where a secret is already",
        )
        parser.add_argument(
            "--as",
            dest="person",
            metavar="PERSON",
            help="who is to have written them, and may; the vault's owner without it",
        )
        parser.add_argument(
            "--skip-invalid", action="store_true", help="leave out what cannot be imported"
        )
        parser.add_argument(
            "--newest-only",
            action="store_true",
            help="of a server, only the newest version of each entry, a secret for each of its fields",
        )
        add_dry_run_option(parser)
        add_json_option(parser)
        server = parser.add_argument_group("a server")
        server.add_argument("--mount", default="secret", help="of the KV engine (secret)")
        server.add_argument("--under", default="", help="only entries in this folder")
        server.add_argument("--ca", help="file of certificates to trust instead of the system's")
        server.add_argument("--namespace")
        server.add_argument(
            "--token-file", type=Path, help="where its token is; VAULT_TOKEN without it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        vault = vault_named(options["vault"])
        person = person_named(options["person"]) if options["person"] else vault.owner
        if options["type"] not in app_settings.SECRET_TYPES:
            raise CommandError(f"--type is one of {', '.join(app_settings.SECRET_TYPES)}.")
        if options["kind"] == "hcvault" and not options["newest_only"]:
            move_in(self, vault=vault, person=person, client=connect_to(options), options=options)
            return
        candidates = _read(options)
        on_conflict = OnConflict(options["on_conflict"])
        plan = plan_import(vault=vault, paths=candidates.items, on_conflict=on_conflict)
        is_off = plan.conflicts or (candidates.refused and not options["skip_invalid"])
        if not is_off and not options["dry_run"]:
            with (
                key_errors(advice="Nothing was imported."),
                progress("secrets", total=len(candidates.items), quiet=options["json"]) as advance,
            ):
                try:
                    plan = import_secrets(
                        vault=vault,
                        principal=person,
                        values=candidates.items,
                        secret_type=options["type"],
                        on_conflict=on_conflict,
                        on_progress=advance,
                    )
                except (Forbidden, Conflict, InconsistentVault) as error:
                    message = f"{error.detail} Nothing was imported."
                    raise CommandError(message, returncode=FOUND) from None
        self._report(
            plan, candidates, is_done=not is_off and not options["dry_run"], options=options
        )
        if is_off:
            raise CommandError("Nothing was imported.", returncode=FOUND)

    def _report(
        self, plan: Plan, candidates: Candidates, *, is_done: bool, options: dict[str, Any]
    ) -> None:
        paths = {
            "created": plan.created,
            "updated": plan.updated,
            "skipped": plan.skipped,
            "conflicts": plan.conflicts,
        }
        if options["json"]:
            refused = [{"name": each.name, "why": each.why} for each in candidates.refused]
            told = {"imported": is_done} | paths | {"invalid": refused}
            self.stdout.write(json.dumps(told))
            return
        for each in candidates.refused:
            self.stdout.write(f"invalid    {each.name} {each.why}")
        for path in plan.conflicts:
            self.stdout.write(f"conflict   {path} has a secret already")
        if options["dry_run"]:
            for what, some in paths.items():
                if what != "conflicts":
                    self.stdout.write("".join(f"{what:<10} {path}\n" for path in some), ending="")
        counts = ", ".join(f"{len(some)} {what}" for what, some in paths.items())
        self.stdout.write(
            f"{'' if is_done else 'not imported: '}{counts}, {len(candidates.refused)} invalid"
        )


def _read(options: dict[str, Any]) -> Candidates:
    try:
        prefix = parse_path(options["prefix"]) if options["prefix"] else ""
        candidates = Candidates(prefix=prefix, max_value_bytes=app_settings.MAX_VALUE_BYTES)
        if options["kind"] == "hcvault":
            _read_server(candidates, options)
        else:
            _FILES[options["kind"]](_text(options["source"]), candidates)
    except InvalidPath as error:
        raise CommandError(f"--prefix: {error.errors['path'][0]}") from None
    except SourceError as error:
        raise CommandError(error.detail, returncode=COULD_NOT_LOOK) from None
    return candidates


def connect_to(options: dict[str, Any]) -> Any:
    """Return a client of the server. Raises CommandError."""
    try:
        return _connect(options)
    except SourceError as error:
        raise CommandError(error.detail, returncode=COULD_NOT_LOOK) from None


def _connect(options: dict[str, Any]) -> Any:
    try:
        from secrets_app.sources import kv2
    except ImportError:
        raise SourceError(
            "Importing from a server needs a library that is not installed. Run:"
            " pip install --require-hashes -r requirements/hcvault.txt"
        ) from None
    return kv2.connect(
        options["source"], token=_token(options), ca=options["ca"], namespace=options["namespace"]
    )


def _read_server(candidates: Candidates, options: dict[str, Any]) -> None:
    client = _connect(options)
    from secrets_app.sources import kv2

    mount = options["mount"].strip("/")
    entries = kv2.list_entries(client, mount=mount, under=options["under"])
    with progress("entries", total=len(entries), quiet=options["json"]) as advance:
        kv2.read_entries(client, entries, candidates, mount=mount, on_progress=advance)


def _token(options: dict[str, Any]) -> str:
    """Read the token, never from the command line, which every process of the machine may read."""
    file = options["token_file"]
    token = _text(str(file)).strip() if file else os.environ.get("VAULT_TOKEN", "")
    if not token or not token.isascii() or not token.isprintable():
        raise SourceError("There is no token. Put it into VAULT_TOKEN or name a --token-file.")
    return token


def _text(file: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise SourceError(f"{file} cannot be read ({error.strerror}).") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SourceError(f"{file} is not UTF-8 text.") from None

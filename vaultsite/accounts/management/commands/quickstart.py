"""From nothing to the first secret: files, database, demo account, and the curl lines to paste."""

import os
import subprocess
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from secrets_app.management.keys import key_errors
from vaultsite import home, serving
from vaultsite.demo import Demo, as_json, ensure_demo

_CURL = """\
Vaultsite is ready. Paste these into another terminal:

TOKEN=$(curl -s {url}/v1/auth/api-key-token -H 'Content-Type: application/json' -d '{{"api_key":"{key}"}}' | {python} -c 'import json,sys; print(json.load(sys.stdin)["access_token"])')
curl -X PUT {url}/v1/vaults/{vault}/secrets/api-keys/openai -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{{"type":"api_key","value":"my-first-secret"}}'
curl {url}/v1/vaults/{vault}/secrets/api-keys/openai -H "Authorization: Bearer $TOKEN"

Documentation of the API: {url}/docs    Demo account: {home}/demo.json
"""


class Command(BaseCommand):
    help = __doc__
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object for scripts")
        parser.add_argument("--serve", action="store_true", help="then serve until Ctrl-C")

    def handle(self, *args: Any, **options: Any) -> None:
        port = _port()
        base_url = f"http://127.0.0.1:{port}"
        with home.locked(), key_errors(advice="Run it again when the key provider answers."):
            call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
            call_command("check", databases=["default"], stdout=self.stderr)
            demo = ensure_demo(settings.HOME / "demo.json")
        self.stdout.write(
            as_json(demo, base_url) if options["json"] else _curl_lines(demo, base_url)
        )
        self.stdout.flush()
        if options["serve"]:
            if settings.AUDIT_SEAL_EVERY:
                _seal()
            _serve(port)


def _curl_lines(demo: Demo, base_url: str) -> str:
    return _CURL.format(
        url=base_url, key=demo.api_key, vault=demo.vault_id, python="python3", home=settings.HOME
    )


def _port() -> int:
    raw = os.environ.get("PORT") or "8000"
    if not raw.isascii() or not raw.isdecimal() or not 0 < int(raw) < 65536:
        raise CommandError("PORT must be a port number from 1 to 65535.")
    return int(raw)


def _seal() -> None:
    """Have the audit log sealed for as long as this process, which becomes the server, lives."""
    subprocess.Popen(  # noqa: S603
        [
            *(sys.executable, "-m", "django", "seal_audit"),
            *("--every", str(settings.AUDIT_SEAL_EVERY), "--with-parent", str(os.getpid())),
        ]
    )


def _serve(port: int) -> None:
    """Become the server, so that Ctrl-C and signals reach it."""
    os.execv(sys.executable, serving.command(port=port))  # noqa: S606

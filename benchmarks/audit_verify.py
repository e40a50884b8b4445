"""Does verifying a long log take more memory than a short one, and how long does it take?

    python -m benchmarks.audit_verify [--events 1000000] [--postgresql]

Writes and seals that many events as the service does, and runs `manage.py verify_audit` on a tenth of
them, then on all.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.e2e.server import ROOT
from tests.run import postgresql


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "var"
        os.environ |= {
            "VAULTSITE_HOME": str(home),
            "DJANGO_SETTINGS_MODULE": "vaultsite.settings",
            "LOG_LEVEL": "WARNING",
        }
        if options.postgresql:
            os.environ["DATABASE_URL"] = stack.enter_context(postgresql())
        manage("quickstart", "--json", quiet=True)
        import django

        django.setup()
        print("| events | writing and sealing | verify_audit | memory |\n|---|---|---|---|")
        for events in (options.events // 10, options.events):
            took = write(events)
            began = time.monotonic()
            memory = manage("verify_audit")
            verified = time.monotonic() - began
            rate = events / verified
            print(
                f"| {events:,} | {took:.0f} s | {verified:.0f} s ({rate:,.0f} a second)"
                f" | {memory:.0f} MiB |",
                flush=True,
            )
        from django.db import connections

        connections.close_all()
    return 0


def write(target: int) -> float:
    """Let the log grow to `target` events, of which the last are not sealed."""
    from uuid import uuid4

    from secrets_app.models import AuditEvent
    from secrets_app.services.audit import SUCCESS, Event, Resource, record_all, seal_events
    from secrets_app.services.caller import Actor

    began = time.monotonic()
    vault, actor = uuid4(), Actor(uuid4(), "user", "192.0.2.7", uuid4())
    done = AuditEvent.objects.count()
    while done < target:
        batch = min(1000, target - done)
        secret = Resource("secret", uuid4(), vault)
        details = {"path": "team/app/key", "version": 1}
        record_all([Event("secret.read", SUCCESS, secret, details)] * batch, actor=actor)
        done += batch
        if done % 10_000 == 0:
            seal_events()
    return time.monotonic() - began


def manage(*arguments: str, quiet: bool = False) -> float:
    """Run a command; returns the most memory it held, in MiB."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL if quiet else sys.stderr,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{arguments[0]} failed")
    return usage.ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())

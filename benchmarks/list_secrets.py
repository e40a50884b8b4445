"""Does the cost of a page grow with the vault? Rows read and time for one page of a vault with 1,000
and with 100,000 secrets, for a caller with 200 policies, on PostgreSQL.

    .venv/bin/python -m benchmarks.list_secrets
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

SIZES = (1_000, 100_000)
POLICIES = 200
LIMIT = 100
ROUNDS = 30


def main() -> int:
    from tests.run import postgresql

    with postgresql() as url, tempfile.TemporaryDirectory() as home:
        os.environ["VAULTSITE_HOME"] = home
        os.environ["DATABASE_URL"] = url
        os.environ["DJANGO_SETTINGS_MODULE"] = "vaultsite.settings"
        from vaultsite import home as files

        files.create()
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connections

        call_command("migrate", verbosity=0)
        measure()
        connections.close_all()
    return 0


def measure() -> None:
    from django.db import connection

    from tests import cast

    alice, bob, charlie = (cast.person(name) for name in ("alice", "bob", "charlie"))
    print(f"{POLICIES} policies, pages of {LIMIT}; median and spread of {ROUNDS} rounds\n")
    print(f"{'secrets':>9}  {'caller':<34} {'rows':>6} {'shown':>6} {'queries':>8} {'ms':>12}")
    times: dict[tuple[str, int], float] = {}
    for size in SIZES:
        vault = cast.vault_of(alice, f"{size} secrets")
        fill(vault, alice, size)
        # Teams are spread over the whole vault; Bob is allowed every fifth and denied a bit of each.
        for n in range(POLICIES // 2):
            cast.allow(bob, vault, f"team-{n * 5:04}/**", "read")
            cast.deny(bob, vault, f"team-{n * 5:04}/*/hidden", "read")
        # Charlie may read nothing that is there, and no range of paths says so.
        cast.allow(charlie, vault, "*/*/none", "read")
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        callers = ((alice, "owner"), (bob, f"{POLICIES} policies"), (charlie, "all is hidden"))
        for who, name in callers:
            for prefix in ("", "team-0495/"):
                label = f"{name}, prefix {prefix or 'none'}"
                times[label, size] = report(who, vault, size, label, prefix)
    print("\nlarge to small vault, time:")
    for label in dict.fromkeys(label for label, _ in times):
        print(f"  {label:<34} {times[label, SIZES[1]] / times[label, SIZES[0]]:.2f}")


def fill(vault, owner, size):
    from secrets_app.crypto.plaintext import Plaintext
    from secrets_app.models import Secret, SecretVersion

    key = vault.keys.get()
    teams = 500
    for start in range(0, size, 2000):
        secrets = [
            Secret(
                vault=vault, path=f"team-{n % teams:04}/app-{n // teams:04}/key", current_version=1
            )
            for n in range(start, min(start + 2000, size))
        ]
        Secret.objects.bulk_create(secrets)
        SecretVersion.objects.bulk_create(
            SecretVersion(
                vault=vault,
                secret=secret,
                number=1,
                type="note",
                value=Plaintext(b"value"),
                vault_key=key,
                created_by=owner.principal,
            )
            for secret in secrets
        )


def report(who, vault, size, label, prefix):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from secrets_app.services.identity import identify
    from secrets_app.services.secrets import ListQuery, list_secrets

    took = []
    wanted = ListQuery(prefix=prefix, limit=LIMIT)
    bearer = who.token
    for _ in range(ROUNDS):
        started = time.perf_counter()
        caller = identify(bearer=bearer, vault_id=vault.id, address=None, request_id=uuid4())
        page = list_secrets(caller=caller, vault_id=vault.id, wanted=wanted)
        took.append((time.perf_counter() - started) * 1000)
    with CaptureQueriesContext(connection) as queries:
        list_secrets(caller=caller, vault_id=vault.id, wanted=wanted)
    middle = statistics.median(took)
    spread = statistics.quantiles(took, n=10)
    print(
        f"{size:>9,}  {label:<34} {page.looked_at:>6} {len(page.versions):>6} {len(queries):>8}"
        f" {middle:>6.1f} ({spread[0]:.1f}–{spread[-1]:.1f})"
    )
    return middle


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    sys.exit(main())

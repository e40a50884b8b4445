"""Does a question to the audit log cost more when the log is long?

    python -m benchmarks.audit_query [--rows 10000000]

Pages of 100 on PostgreSQL, at a hundredth, a tenth and all of the rows, for an auditor and for the owner
of three of a thousand vaults. Rows are made by the database itself, without MACs.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

ROUNDS = 20

# Ids begin with the milliseconds of their event, one event a millisecond; a thousand vaults, 5,000
# resources and 200 actors take turns, as does a rare action.
_FILL = """
INSERT INTO secrets_app_auditevent
  (id, created_at, action, outcome, actor_id, actor_type, vault_id, resource_type, resource_id,
   details, ip_address, request_id, key_number, mac, seal_number)
SELECT (lpad(to_hex(%(start)s + n), 12, '0') || '7abc8' || substr(md5(n::text), 1, 15))::uuid,
  to_timestamp((%(start)s + n) / 1000.0),
  CASE WHEN n %% 10007 = 0 THEN 'secret.purge' WHEN n %% 10 = 0 THEN 'secret.write'
       ELSE 'secret.read' END,
  'success', md5('actor' || n %% 200)::uuid, 'user', md5('vault' || n %% 1000)::uuid, 'secret',
  md5('resource' || n %% 5000)::uuid, '{"path": "team/app/key", "version": 1}', '192.0.2.7',
  gen_random_uuid(), 1, decode(md5('a' || n) || md5('b' || n), 'hex'), 1 + n / 1000
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    options = parser.parse_args()
    from tests.run import postgresql

    with postgresql() as url, tempfile.TemporaryDirectory() as home:
        os.environ |= {
            "VAULTSITE_HOME": home,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "vaultsite.settings",
        }
        from vaultsite import home as files

        files.create()
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connections

        call_command("migrate", verbosity=0)
        measure([options.rows // 100, options.rows // 10, options.rows])
        connections.close_all()
    return 0


def measure(sizes: list[int]) -> None:
    from django.db import connection

    times: dict[str, list[float]] = {}
    had = 0
    start = int(time.time() * 1000) - sizes[-1] - 1000
    for size in sizes:
        with connection.cursor() as cursor:
            for first in range(had, size, 500_000):
                last = min(first + 500_000, size) - 1
                cursor.execute(_FILL, {"start": start, "first": first, "last": last})
            cursor.execute("VACUUM ANALYZE secrets_app_auditevent")
        had = size
        for question, ask in questions(start, size).items():
            ask()
            took = []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                ask()
                took.append((time.perf_counter() - began) * 1000)
            times.setdefault(question, []).append(statistics.median(took))
        print(f"{size:,} rows are in", file=sys.stderr, flush=True)
    print("| question | " + " | ".join(f"{size:,} rows" for size in sizes) + " |")
    print("|---|" + "---|" * len(sizes))
    for question, took in times.items():
        print(f"| {question} | " + " | ".join(f"{each:.1f} ms" for each in took) + " |")


def questions(start: int, size: int) -> dict[str, Callable[[], Any]]:
    """Each asks for one page, as `list_events` does."""
    from datetime import UTC, datetime
    from hashlib import md5

    from secrets_app.services.audit import EventQuery, query
    from secrets_app.services.audit.visibility import Visibility

    def uuid(name: str) -> UUID:
        return UUID(md5(name.encode()).hexdigest())

    auditor = Visibility(uuid("actor1"), is_auditor=True)
    vaults = tuple(uuid(f"vault{n}") for n in (5, 500, 999))
    owner = Visibility(uuid("somebody else"), is_auditor=False, vault_ids=vaults)
    middle = datetime.fromtimestamp((start + size // 2) / 1000, UTC)

    def ask(sight: Visibility, **wanted: Any) -> Callable[[], Any]:
        def run() -> None:
            page = query.page_of(sight, EventQuery(**wanted))
            assert page.events, "the question has an answer"

        return run

    second = timedelta(seconds=30)
    return {
        "newest, auditor": ask(auditor),
        "newest, owner of 3 vaults": ask(owner),
        "a resource, auditor": ask(auditor, resource_id=uuid("resource5")),
        "a resource, owner": ask(owner, resource_id=uuid("resource1005")),
        "an actor, auditor": ask(auditor, actor_id=uuid("actor7")),
        "an actor, owner": ask(owner, actor_id=uuid("actor5")),
        "a rare action, auditor": ask(auditor, action="secret.purge"),
        "a time in the middle, auditor": ask(auditor, since=middle, until=middle + second),
        "a time in the middle, owner": ask(owner, since=middle, until=middle + second),
        "offset 10,000, auditor": ask(auditor, offset=10_000),
        "cursor in the middle, auditor": ask(auditor, before=_id_at(start + size // 2)),
        "cursor in the middle, owner": ask(owner, before=_id_at(start + size // 2)),
    }


def _id_at(milliseconds: int) -> UUID:
    return UUID(int=milliseconds << 80)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    sys.exit(main())

"""Does the admin take longer when the log is long?

    python -m benchmarks.dashboard [--rows 5000000]

The first page and the lists behind it, through the whole project, on PostgreSQL, with a fifth and all of
the rows spread over thirty days and 5,000 secrets. Rows are made by the database itself, without MACs.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROUNDS = 7
_DAYS = 30

# Ids begin with the milliseconds of their event. Of a hundred events 88 are reads, ten writes, one is a
# denial and one a failed sign-in; 49 of the secrets are never read.
_FILL = """
INSERT INTO secrets_app_auditevent
  (id, created_at, action, outcome, actor_id, actor_type, vault_id, resource_type, resource_id,
   details, ip_address, request_id, key_number, mac, seal_number)
SELECT (lpad(to_hex(ms), 12, '0') || '7abc8' || substr(md5(n::text), 1, 15))::uuid,
  to_timestamp(ms / 1000.0),
  CASE WHEN n %% 100 = 1 THEN 'auth.failure' WHEN n %% 10 = 0 THEN 'secret.write'
       ELSE 'secret.read' END,
  CASE WHEN n %% 100 = 1 THEN 'failure' WHEN n %% 100 = 2 THEN 'denied' ELSE 'success' END,
  md5('actor' || n %% 200)::uuid, 'user', %(vault)s, 'secret',
  md5('secret' || n %% 4951)::uuid, '{"path": "team/app/key", "version": 1}', '192.0.2.7',
  gen_random_uuid(), 1, decode(md5('a' || n) || md5('b' || n), 'hex'), 1 + n / 1000
FROM (SELECT n, (%(start)s + n * %(step)s)::bigint AS ms
      FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n) AS each
"""

_SECRETS = """
INSERT INTO secrets_app_secret (id, vault_id, path, current_version, created_at)
SELECT md5('secret' || n)::uuid, %s, 'team-' || n %% 50 || '/' || n, 1, now() - interval '60 days'
FROM generate_series(0, 4999) AS n
"""

_VERSIONS = """
INSERT INTO secrets_app_secretversion
  (id, vault_id, secret_id, number, type, value, vault_key_id, created_by_id, created_at,
   access_count, expires_at)
SELECT gen_random_uuid(), vault_id, id, 1, 'password', '\\x00', %s, %s, created_at, 0,
  CASE WHEN random() < 0.1 THEN now() + random() * interval '100 days' END
FROM secrets_app_secret
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    options = parser.parse_args()
    from tests.run import postgresql

    with postgresql() as url, tempfile.TemporaryDirectory() as home:
        os.environ |= {
            "VAULTSITE_HOME": home,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "vaultsite.settings",
            "LOG_LEVEL": "WARNING",
        }
        from vaultsite import home as files

        files.create()
        import django

        django.setup()
        from django.conf import settings
        from django.core.management import call_command
        from django.db import connections

        settings.ALLOWED_HOSTS = ["testserver"]
        call_command("migrate", verbosity=0)
        measure([options.rows // 5, options.rows])
        connections.close_all()
    return 0


def measure(sizes: list[int]) -> None:
    from django.db import connection

    vault = make_secrets()
    times: dict[str, list[float]] = {}
    had = 0
    start = int(time.time() * 1000) - _DAYS * 86_400_000
    for size in sizes:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE secrets_app_auditevent")
            had, step = 0, _DAYS * 86_400_000 / size
            for first in range(had, size, 500_000):
                last = min(first + 500_000, size) - 1
                numbers = {"start": start, "step": step, "first": first, "last": last}
                cursor.execute(_FILL, numbers | {"vault": vault})
            cursor.execute("VACUUM ANALYZE")
        for question, (ask, forget) in questions().items():
            ask()
            took = []
            for _ in range(ROUNDS):
                if forget:
                    _forget()
                began = time.perf_counter()
                ask()
                took.append((time.perf_counter() - began) * 1000)
            times.setdefault(question, []).append(statistics.median(took))
        print(f"{size:,} rows are in", file=sys.stderr, flush=True)
    print("| page | " + " | ".join(f"{size:,} events" for size in sizes) + " |")
    print("|---|" + "---|" * len(sizes))
    for question, took in times.items():
        print(f"| {question} | " + " | ".join(f"{each:,.0f} ms" for each in took) + " |")


def make_secrets() -> Any:
    """5,000 secrets in a vault; returns its id."""
    from django.db import connection

    from secrets_app.models import VaultKey
    from tests import cast

    alice = cast.person("alice")
    vault = cast.vault_of(alice)
    key = VaultKey.objects.get(vault=vault)
    with connection.cursor() as cursor:
        cursor.execute(_SECRETS, [vault.pk])
        cursor.execute(_VERSIONS, [key.pk, alice.principal.pk])
    return vault.pk


def questions() -> dict[str, tuple[Callable[[], Any], bool]]:
    """Each asks for one page; True: after what was counted before is forgotten."""
    from hashlib import md5
    from uuid import UUID

    from django.test import Client

    from vaultsite.accounts.models import User

    client = Client()
    user, _ = User.objects.get_or_create(
        email="root@example.com", defaults={"is_staff": True, "is_superuser": True}
    )
    client.force_login(user)

    def page(path: str) -> Callable[[], Any]:
        def run() -> None:
            assert client.get(path).status_code == 200, path

        return run

    events, secrets = "/admin/secrets_app/auditevent/", "/admin/secrets_app/secret/"
    one = UUID(md5(b"secret7").hexdigest())
    return {
        "first page, 24 hours, first time": (page("/admin/"), True),
        "first page, 24 hours": (page("/admin/"), False),
        "first page, 7 days, first time": (page("/admin/?window=week"), True),
        "first page, 7 days": (page("/admin/?window=week"), False),
        "first page, 30 days, first time": (page("/admin/?window=month"), True),
        "first page, 30 days": (page("/admin/?window=month"), False),
        "events": (page(events), False),
        "events, denied": (page(f"{events}?what=denials"), False),
        "events, reads of yesterday": (page(f"{events}?what=reads&when=yesterday"), False),
        "events, of a secret": (page(f"{events}?resource_id={one}"), False),
        "events, search for a path": (page(f"{events}?q=team-7/7"), False),
        "secrets": (page(secrets), False),
        "secrets, expire within 7 days": (page(f"{secrets}?expires=week"), False),
        "secrets, never read": (page(f"{secrets}?read=never"), False),
    }


def _forget() -> None:
    from django.core.cache import cache

    cache.clear()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    sys.exit(main())

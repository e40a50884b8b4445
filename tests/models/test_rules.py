import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from secrets_app.models import Policy, Principal
from tests.cast import allow, body, secret_url

_OTHERS = 3_000


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_only_a_callers_own_policies_are_looked_at(bob, vault):
    allow(bob, vault, "**", "read", "write")
    others = [Principal(kind="agent", name=f"agent {n}") for n in range(_OTHERS // 10)]
    Principal.objects.bulk_create(others)
    Policy.objects.bulk_create(
        Policy(
            vault=vault,
            principal=others[n % len(others)],
            pattern=f"team-{n}/**",
            permissions=["read"],
            created_by=others[0],
        )
        for n in range(_OTHERS)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        bob.api.put(secret_url(vault), body())
        with CaptureQueriesContext(connection) as asked:
            assert bob.api.get(secret_url(vault)).status_code == 200
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + asked[0]["sql"])
        plan = cursor.fetchone()[0]
    looked_at = list(scans(json.loads(plan) if isinstance(plan, str) else plan))
    assert looked_at
    assert sum(looked_at) < 10


def scans(node):
    """How many rows of the policies' table each scan of a plan looked at."""
    if isinstance(node, list):
        for each in node:
            yield from scans(each)
    elif isinstance(node, dict):
        if node.get("Relation Name") == "secrets_app_policy":
            yield node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        for value in node.values():
            yield from scans(value)

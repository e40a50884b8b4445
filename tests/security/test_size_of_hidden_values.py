"""Issue 14, point 9: a refusal took longer the larger the value at the path was, since the value came along
before the caller was judged."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from secrets_app.sql import compiled as prepared
from tests.cast import Api, allow, body, secret_url


@pytest.fixture
def fetched(monkeypatch):
    """Sizes of what the prepared statements bring out of the database."""
    sizes = []
    cursor_of = prepared.cursor_of

    class Watched:
        def __init__(self, cursor):
            self._cursor = cursor

        def __getattr__(self, name):
            return getattr(self._cursor, name)

        def fetchone(self):
            row = self._cursor.fetchone()
            sizes.extend(len(x) for x in row or () if isinstance(x, (bytes, str, memoryview)))
            return row

    monkeypatch.setattr(prepared, "cursor_of", lambda database: Watched(cursor_of(database)))
    return sizes


LARGE = {
    "value": lambda n: body("v" * n),
    "metadata": lambda n: body(metadata={"m": "m" * n}),
}


@pytest.mark.parametrize("kind", LARGE)
def test_nothing_that_tells_a_size_is_fetched_for_who_is_not_judged_yet(
    alice, bob, vault, fetched, kind
):
    bearer = bob.token
    seen = []
    for size in (2_100, 5_000, 12_000):
        alice.api.put(secret_url(vault), LARGE[kind](size))
        fetched.clear()
        assert Api(bearer).get(secret_url(vault)).status_code == 403
        assert fetched
        seen.append(sorted(fetched))
    assert seen[0] == seen[1] == seen[2]
    assert max(seen[0]) < 500
    # And what is small enough to come along is no more than a packet or two.
    alice.api.put(secret_url(vault), LARGE[kind](1_500))
    fetched.clear()
    assert Api(bearer).get(secret_url(vault)).status_code == 403
    assert max(fetched) <= 2048


@pytest.mark.parametrize("kind", LARGE)
@pytest.mark.parametrize("size", [1, 1_900, 2_100, 12_000])
def test_what_did_not_come_along_is_read_once_the_caller_is_judged(bob, vault, kind, size):
    allow(bob, vault, "**", "read", "write")
    content = LARGE[kind](size) | {"rotation_policy": {"interval_days": 1}}
    bob.api.put(secret_url(vault), content)
    answer = bob.api.get(secret_url(vault))
    assert answer.status_code == 200
    answer = answer.json()
    assert {name: answer.get(name) for name in content} == content
    assert bob.api.get(secret_url(vault), headers={"If-None-Match": '"1"'}).status_code == 304


@pytest.mark.django_db(transaction=True)
def test_only_what_is_large_costs_another_statement(bob, vault):
    allow(bob, vault, "**", "read", "write")
    api = bob.api
    asked = {}
    for size in (1, 1_900, 2_100, 200_000):
        api.put(secret_url(vault), body("v" * size))
        api.get(secret_url(vault))
        with CaptureQueriesContext(connection) as statements:
            assert api.get(secret_url(vault)).status_code == 200
        asked[size] = len(statements)
    assert asked == {1: 2, 1_900: 2, 2_100: 3, 200_000: 3}

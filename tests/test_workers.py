"""How many threads each worker of `make run` gets."""

import pytest
from django.db import connection

from vaultsite.workers import count_threads


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("workers", [1, 2, 3, 4, 8, 16, 20])
def test_all_threads_together_fit_the_connections_of_postgresql(db, workers):
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('max_connections')::int")
        (allowed,) = cursor.fetchone()
    threads = count_threads(workers)
    assert 4 <= threads <= 32
    assert workers * threads < allowed
    assert threads == 32 or (threads + 1) * workers > allowed * 0.8  # no fewer than have to be


@pytest.mark.only_on("sqlite")
def test_on_sqlite_there_are_32(db):
    assert count_threads(1) == 32

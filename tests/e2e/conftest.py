import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.server import Server, new_database, serve


@pytest.fixture(scope="session")
def empty_database() -> Iterator[str | None]:
    """A new database on the server under test; None means SQLite in the server's own folder."""
    with new_database(os.environ.get("TEST_DATABASE_URL")) as url:
        yield url


@pytest.fixture
def fresh_database() -> Iterator[str | None]:
    """As `empty_database`, for one test."""
    with new_database(os.environ.get("TEST_DATABASE_URL")) as url:
        yield url


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, empty_database: str | None
) -> Iterator[Server]:
    home: Path = tmp_path_factory.mktemp("live") / "var"
    with serve(home, empty_database, METRICS_NETWORKS="127.0.0.1/32") as running:
        yield running

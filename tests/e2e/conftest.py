import os
from collections.abc import Iterator

import pytest

from tests.e2e.canary import watched
from tests.e2e.server import Server, new_database, serve
from tests.e2e.vault_targets import Target, ours, real


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
def _live(
    tmp_path_factory: pytest.TempPathFactory, empty_database: str | None
) -> Iterator[tuple[Server, dict[str, str | bytes]]]:
    folder = tmp_path_factory.mktemp("live")
    (folder / "kept").mkdir()
    with (
        serve(folder / "var", empty_database, METRICS_NETWORKS="127.0.0.1/32") as running,
        watched(running, empty_database, folder / "kept") as planted,
    ):
        yield running, planted


@pytest.fixture(scope="session")
def server(_live: tuple[Server, dict[str, str | bytes]]) -> Server:
    """One for all tests. After the last of them it is searched for what it was given; see `canary.py`."""
    return _live[0]


@pytest.fixture(scope="session")
def planted(_live: tuple[Server, dict[str, str | bytes]]) -> dict[str, str | bytes]:
    """What must not be found there, by name."""
    return _live[1]


@pytest.fixture(scope="session")
def targets(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Target]]:
    """The Vault door of the live server, and a real OpenBao."""
    with ours(server) as first, real(tmp_path_factory.mktemp("openbao")) as second:
        yield [first, second]

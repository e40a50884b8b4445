import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.e2e.server import Server, serve


@pytest.fixture(scope="session")
def empty_database() -> Iterator[str | None]:
    """A new database on the server under test; None means SQLite in the server's own folder."""
    url = os.environ.get("TEST_DATABASE_URL")
    if not url:
        yield None
        return
    import psycopg
    from environ import Env

    name = f"e2e_{uuid4().hex[:12]}"
    config = Env.db_url_config(url)
    options = {
        "host": config["HOST"] or None,
        "port": config["PORT"] or None,
        "user": config["USER"] or None,
        "password": config["PASSWORD"] or None,
        "dbname": config["NAME"],
    } | config.get("OPTIONS", {})
    with psycopg.connect(autocommit=True, **options) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            base, _, query = url.partition("?")
            yield base.rpartition("/")[0] + f"/{name}" + (f"?{query}" if query else "")
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, empty_database: str | None
) -> Iterator[Server]:
    home: Path = tmp_path_factory.mktemp("live") / "var"
    with serve(home, empty_database) as running:
        yield running

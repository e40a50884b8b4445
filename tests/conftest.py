from typing import Any

import pytest

from secrets_app.models import Vault
from tests import cast
from tests.cast import Api, Person


@pytest.fixture
def alice(db: Any) -> Person:
    return cast.person("alice")


@pytest.fixture
def bob(db: Any) -> Person:
    return cast.person("bob")


@pytest.fixture
def charlie(db: Any) -> Person:
    return cast.person("charlie")


@pytest.fixture
def robot(db: Any) -> Person:
    return cast.agent("robot")


@pytest.fixture
def vault(alice: Person) -> Vault:
    return cast.vault_of(alice)


@pytest.fixture
def nobody(db: Any) -> Api:
    """A client that has not signed in."""
    return Api()


@pytest.fixture(autouse=True)
def _fresh_rates() -> None:
    """Requests of one test do not count in another."""
    from secrets_app.api.throttling import _limiter

    _limiter.cache_clear()

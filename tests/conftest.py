import _ssl
import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError

from secrets_app.models import Vault
from tests import cast
from tests.cast import Api, Person
from tests.providers.backends import softhsm

# No database is touched there, so they run with the first one only.
_WITHOUT_DATABASE = [
    Path(__file__).parent / name
    for name in ("crypto", "federation", "policy", "providers", "sources")
]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    database = "postgresql" if "TEST_DATABASE_URL" in os.environ else "sqlite"
    elsewhere = [item for item in items if database not in _databases(item)]
    items[:] = [item for item in items if item not in elsewhere]
    config.hook.pytest_deselected(items=elsewhere)


def _databases(item: pytest.Item) -> tuple[str, ...]:
    marker = item.get_closest_marker("only_on")
    if marker:
        return marker.args
    is_without = any(folder in item.path.parents for folder in _WITHOUT_DATABASE)
    return ("sqlite",) if is_without else ("sqlite", "postgresql")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a test that was skipped has not passed."""
    skipped = session.config.pluginmanager.get_plugin("terminalreporter").stats.get("skipped")
    if skipped and os.environ.get("NOTHING_SKIPPED"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """A database of its own for each process: mutmut forks many from one that has imported all this. In
    place of pytest-django's, which tells processes of xdist apart, which is not used here."""
    test = settings.DATABASES["default"]["TEST"]
    if "TEST_DATABASE_URL" not in os.environ:
        test["NAME"] = f"{test['NAME']}-{os.getpid()}"


@pytest.fixture
def alice(db: Any) -> Person:
    from secrets_app.services.sealing.audit_keys import prepare_audit_key

    # As in a server that has answered a request before.
    prepare_audit_key()
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
def log(db: Any) -> None:
    """Three seals of four events each, and three events that are not sealed."""
    from secrets_app.services.audit.seal import seal_events
    from secrets_app.services.sealing.audit_keys import prepare_audit_key

    prepare_audit_key()
    for _ in range(3):
        cast.write_events(4)
        seal_events()
    cast.write_events(3)


@pytest.fixture
def unwritable_log() -> Callable[[], AbstractContextManager[None]]:
    """While it lasts, no event can be written: `with unwritable_log(): …`."""

    @contextmanager
    def while_it_lasts() -> Iterator[None]:
        def fail(*_: Any) -> None:
            raise OperationalError("the audit table is not writable")

        module = sys.modules["secrets_app.services.audit.record"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_rows", fail)
            yield

    return while_it_lasts


@pytest.fixture
def nobody(db: Any) -> Api:
    """A client that has not signed in."""
    return Api()


@pytest.fixture(autouse=True)
def _fresh_audit_key() -> None:
    """Each test has a database of its own, and so an audit key of its own."""
    from secrets_app.services.audit.write_state import write_state
    from secrets_app.services.sealing.audit_keys import forget_audit_key

    forget_audit_key()
    write_state.succeeded()


@pytest.fixture(autouse=True)
def _fresh_rates() -> Iterator[None]:
    """Requests of one test do not count in another."""
    from secrets_app.http.throttling import _limiter
    from secrets_app.services.audit.failures import forget

    _limiter.cache_clear()
    yield
    forget()


@pytest.fixture(scope="session")
def issuer_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from tests.issuers import Server

    server = Server(tmp_path_factory.mktemp("issuers"))
    yield server
    server.close()


@pytest.fixture
def issuer(issuer_server: Any, settings: Any) -> Any:
    """An issuer with keys of each kind, which FEDERATION_ISSUERS names."""
    made = issuer_server.issuer()
    settings.SECRETS_APP = settings.SECRETS_APP | {"FEDERATION_ISSUERS": made.setting}
    return made


@pytest.fixture
def hsm(_hsm: softhsm.SoftHsm) -> Iterator[softhsm.SoftHsm]:
    yield _hsm
    # SoftHSM leaves errors in this thread's queue of OpenSSL, where the next TLS read would find them.
    ctypes.CDLL(_ssl.__file__).ERR_clear_error()


@pytest.fixture(scope="session")
def _hsm(tmp_path_factory: pytest.TempPathFactory) -> softhsm.SoftHsm:
    missing = softhsm.why_not()
    if missing:
        pytest.skip(missing)
    return softhsm.SoftHsm(tmp_path_factory.mktemp("softhsm"))


@pytest.fixture(scope="session")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from tests.providers.backends.openbao import OpenBao

    backend = OpenBao(tmp_path_factory.mktemp("openbao"))
    yield backend
    backend.close()

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.providers.backends.local import LocalBackend

REMOTE = ("pkcs11", "aws-kms", "hcvault", "gcp-kms")
ALL = ("file", "env", *REMOTE)


@pytest.fixture(scope="session")
def moto() -> Iterator[Any]:
    from tests.providers.backends.moto import Moto

    backend = Moto()
    yield backend
    backend.close()


@pytest.fixture(scope="session")
def gcp() -> Iterator[Any]:
    from tests.providers.backends.gcp import GcpKms

    backend = GcpKms()
    yield backend
    backend.close()


@pytest.fixture
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """The real thing behind one kind of provider."""
    kind = request.param
    if kind in ("file", "env"):
        return LocalBackend(kind, tmp_path)
    fixture = {"pkcs11": "hsm", "aws-kms": "moto", "hcvault": "openbao", "gcp-kms": "gcp"}[kind]
    return request.getfixturevalue(fixture)


@pytest.fixture
def _quick(settings: Any) -> None:
    """Providers get one second to answer."""
    settings.SECRETS_APP = settings.SECRETS_APP | {"KEY_PROVIDER_TIMEOUT": 1}

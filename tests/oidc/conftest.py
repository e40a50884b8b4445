import pytest

from secrets_app.federation.issuers import issuer_keys
from tests.oidc import scripted, toolkit
from tests.oidc.authority import Authority
from vaultsite.oidc import endpoints


@pytest.fixture(scope="session")
def _provider(tmp_path_factory):
    with scripted.running(Authority(tmp_path_factory.mktemp("scripted"))) as provider:
        yield provider


@pytest.fixture(scope="session")
def _other(tmp_path_factory):
    with scripted.running(Authority(tmp_path_factory.mktemp("other"))) as provider:
        yield provider


@pytest.fixture(autouse=True)
def _asked_anew():
    endpoints.forget()
    issuer_keys.forget()


@pytest.fixture
def provider(_provider, db, settings, monkeypatch):
    """The provider `corp`, which is trusted for example.com."""
    _provider.reset()
    monkeypatch.setenv("SCRIPTED_SECRET", scripted.CLIENT_SECRET)
    settings.OIDC_PROVIDERS = ["corp"]
    settings.OIDC_VARIABLES = _provider.variables(NAME="Corporate login")
    return _provider


@pytest.fixture
def other(_other, provider, settings):
    """A second provider, `other`, which is trusted for example.com too."""
    _other.reset()
    settings.OIDC_PROVIDERS = ["corp", "other"]
    settings.OIDC_VARIABLES = settings.OIDC_VARIABLES | _other.variables("other")
    return _other


@pytest.fixture(scope="session")
def _toolkit(tmp_path_factory):
    found = toolkit.new_toolkit(tmp_path_factory.mktemp("toolkit"))
    with found.running("http://testserver/accounts/oidc/corp/callback/"):
        yield found


@pytest.fixture
def real_provider(_toolkit, db, settings):
    _toolkit.people()
    settings.OIDC_PROVIDERS = ["corp"]
    settings.OIDC_VARIABLES = _toolkit.variables()
    return _toolkit

"""Composition root of encryption: settings → providers → keyring.

Providers are imported when they are named in ROOT_KEY_URLS, so their libraries can be extras.
"""

from functools import lru_cache

from django.core.signals import setting_changed

from secrets_app.conf import app_settings
from secrets_app.crypto.keyring import Keyring
from secrets_app.crypto.provider import KeyProvider
from secrets_app.errors import ConfigurationError


def keyring() -> Keyring:
    """The process's keyring. Raises ConfigurationError when a root key is missing or malformed."""
    return _build(app_settings.ROOT_KEY_URLS, app_settings.KEK_CACHE_TTL)


@lru_cache(maxsize=1)
def _build(urls: tuple[str, ...], kek_cache_ttl: int) -> Keyring:
    if not urls:
        raise ConfigurationError(
            "No root key is configured. Set ROOT_KEY_URLS, for example to file:/etc/vaultsite/root.key"
            " (a file with mode 0600 that holds the output of `openssl rand -base64 32`)."
        )
    return Keyring([_provider(url) for url in urls], kek_cache_ttl=kek_cache_ttl)


def _provider(url: str) -> KeyProvider:
    scheme, _, rest = url.partition(":")
    if scheme == "file":
        from secrets_app.providers import local

        return local.from_file(rest)
    if scheme == "env":
        from secrets_app.providers import local

        return local.from_environment(rest)
    # It may be a key that was put in the place of its URL, so it is not shown.
    raise ConfigurationError(
        "ROOT_KEY_URLS has an entry of an unknown kind. Known are file:/path and env:NAME."
    )


def _forget(*, setting: str, **_: object) -> None:
    if setting == "SECRETS_APP":
        _build.cache_clear()


setting_changed.connect(_forget, dispatch_uid="secrets_app.keys")

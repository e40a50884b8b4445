"""Build the keyring from the settings: the composition root of encryption.

A provider's module is imported only when ROOT_KEY_URLS names its scheme, so its library can be an extra.
"""

from importlib import import_module
from typing import Any

from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from secrets_app.conf import app_settings
from secrets_app.crypto.instrumented import InstrumentedProvider
from secrets_app.crypto.keyring import Keyring
from secrets_app.crypto.provider import KeyProvider
from secrets_app.crypto.timeout import TimeoutProvider
from secrets_app.errors import ConfigurationError
from secrets_app.reload import ReloadOnChange

# URL scheme → module of `providers`, and the extra that its library is in (None: it needs none).
_BUILT_IN = {
    "file": ("local", None),
    "env": ("local", None),
    "pkcs11": ("pkcs11", "pkcs11"),
    "aws-kms": ("aws_kms", "aws"),
    "gcp-kms": ("gcp_kms", "gcp"),
    "hcvault": ("hcvault", "hcvault"),
}
_CAN_CREATE = {"file", "pkcs11"}

_kept: ReloadOnChange[Keyring] = ReloadOnChange("The set of root keys")


def keyring() -> Keyring:
    """Return the process's keyring. It is built again when a key file changes.

    Raises ConfigurationError when a root key is missing or malformed.
    """
    urls, ttl = app_settings.ROOT_KEY_URLS, app_settings.KEK_CACHE_TTL
    files = [url.removeprefix("file:") for url in urls if url.startswith("file:")]
    return _kept.get(lambda: _build(urls, ttl), arguments=(urls, ttl), files=files)


def _build(urls: tuple[str, ...], kek_cache_ttl: int) -> Keyring:
    if not urls:
        raise ConfigurationError(
            "No root key is configured. Set ROOT_KEY_URLS, for example to file:/etc/vaultsite/root.key"
            " (a file with mode 0600 that holds the output of `openssl rand -base64 32`)."
        )
    return Keyring([build_provider(url) for url in urls], kek_cache_ttl=kek_cache_ttl)


def build_provider(url: str) -> KeyProvider:
    """Return the provider that a URL names, without contacting it. Raises ConfigurationError."""
    scheme = url.partition(":")[0]
    timeout_s = app_settings.KEY_PROVIDER_TIMEOUT
    extra = app_settings.EXTRA_KEY_PROVIDERS.get(scheme)
    from_url = _extra(scheme, extra) if extra else _module(scheme).from_url
    provider: KeyProvider = from_url(url, timeout_s=timeout_s)
    is_local = not extra and _BUILT_IN[scheme][0] == "local"
    if not is_local:
        provider = TimeoutProvider(provider, timeout_s=timeout_s)
    return InstrumentedProvider(provider, scheme=scheme)


def create_root_key(url: str) -> str:
    """Create the key that a URL names, in a file or inside a PKCS #11 token. Returns its id.

    Raises ConfigurationError, ProviderError.
    """
    if url.partition(":")[0] not in _CAN_CREATE:
        raise ConfigurationError(
            "Root keys are made here in files and PKCS #11 tokens only. See docs/keys.md for others."
        )
    key_id: str = _module(url.partition(":")[0]).create_key(url)
    return key_id


def _module(scheme: str) -> Any:
    if scheme not in _BUILT_IN:
        # Somebody may have set a key instead of its URL, so the entry is not shown.
        raise ConfigurationError(
            f"ROOT_KEY_URLS has an entry of an unknown kind. Known are {', '.join(_BUILT_IN)}."
        )
    module, extra = _BUILT_IN[scheme]
    try:
        return import_module(f"secrets_app.providers.{module}")
    except ImportError:
        raise ConfigurationError(
            f"Root keys of the kind {scheme} need a library that is not installed. Run:"
            f" pip install --require-hashes -r requirements/{extra}.txt"
        ) from None


def _extra(scheme: str, path: str) -> Any:
    try:
        return import_string(path)
    except ImportError as error:
        raise ConfigurationError(
            f"EXTRA_KEY_PROVIDERS: {path} for {scheme} cannot be imported ({type(error).__name__})."
        ) from None


def _forget(*, setting: str, **_: object) -> None:
    if setting == "SECRETS_APP":
        _kept.forget()


setting_changed.connect(_forget, dispatch_uid="secrets_app.keys")

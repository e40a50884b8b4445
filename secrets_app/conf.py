"""Read the app's settings: one typed property for each, with its default and unit.

A project sets them in one dictionary, `SECRETS_APP`, in its Django settings. Nothing here is derived
from Django's SECRET_KEY.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Generic, TypeVar

from django.conf import settings
from limits import parse

from secrets_app.errors import ConfigurationError, OutboundError
from secrets_app.networks import Network, parse_network
from secrets_app.outbound import parse_url

CONTRACT_TYPES = (
    "password",
    "api_key",
    "private_key",
    "certificate",
    "file",
    "note",
    "ssh_key",
    "env_bundle",
)


_T = TypeVar("_T")


class setting(Generic[_T]):  # noqa: N801  (a kind of property)
    """A property that is computed once for each `SECRETS_APP` dictionary."""

    def __init__(self, compute: Callable[[Any], _T]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, instance: "AppSettings | None", owner: type) -> _T:
        if instance is None:
            return self  # type: ignore[return-value]
        known = instance.known()
        if self._name not in known:
            known[self._name] = self._compute(instance)
        value: _T = known[self._name]
        return value


class AppSettings:
    """The settings. Each property raises ConfigurationError for a wrong type or a value out of range.

    To change them, tests replace `settings.SECRETS_APP`; they must not change its content.
    """

    NAMES = frozenset(
        {
            "ROOT_KEY_URLS",
            "JWT_KEY_FILE",
            "JWT_ISSUER",
            "EXTRA_KEY_PROVIDERS",
            "KEK_CACHE_TTL",
            "KEY_PROVIDER_TIMEOUT",
            "MAX_VALUE_BYTES",
            "BATCH_MAX_BYTES",
            "BATCH_MEMORY_BYTES",
            "USER_TOKEN_TTL",
            "USER_SESSION_TTL",
            "EXTRA_SECRET_TYPES",
            "DELETED_RETENTION_DAYS",
            "MAX_VERSIONS",
            "TRUSTED_PROXIES",
            "PASSWORD_SIGN_IN",
            "HEADER_NAMES_KEPT_APART",
            "RATE_LIMIT",
            "SIGN_IN_RATE_LIMIT",
            "AUTH_FAILURE_RATE",
            "FEDERATION_ISSUERS",
            "RATE_LIMIT_STORAGE",
            "AUDIT_LOG",
            "AUDIT_SEAL_ALARM",
            "ADMIN_BASE",
            "END_WEB_SESSIONS",
            "DEVICE_PAGE",
            "SECOND_FACTORS",
        }
    )

    @setting
    def ROOT_KEY_URLS(self) -> tuple[str, ...]:
        """Root keys, by URL. The first is active, the others only unwrap. No default."""
        return self._strings("ROOT_KEY_URLS")

    @setting
    def JWT_KEY_FILE(self) -> str:
        """PEM file with Ed25519 keys. The first signs tokens, all verify them. No default."""
        value = self._raw("JWT_KEY_FILE", "")
        if not isinstance(value, str) or not value:
            raise ConfigurationError(
                "JWT_KEY_FILE must name a PEM file with an Ed25519 private key."
            )
        return value

    @setting
    def JWT_ISSUER(self) -> str:
        """The `iss` of tokens. Default: vaultsite."""
        value = self._raw("JWT_ISSUER", "vaultsite")
        if not isinstance(value, str) or not value:
            raise ConfigurationError("JWT_ISSUER must be a non-empty string.")
        return value

    @setting
    def KEK_CACHE_TTL(self) -> int:
        """How long an unwrapped KEK stays in memory, in seconds. 0: never. Default: 300."""
        return self._whole("KEK_CACHE_TTL", 300, least=0, most=86_400)

    @setting
    def KEY_PROVIDER_TIMEOUT(self) -> int:
        """How long a key provider may take to answer, in seconds. Default: 5."""
        return self._whole("KEY_PROVIDER_TIMEOUT", 5, least=1, most=60)

    @setting
    def EXTRA_KEY_PROVIDERS(self) -> dict[str, str]:
        """A project's own providers: URL scheme → dotted path of a function that takes the URL and
        `timeout_s` and returns a `crypto.provider.KeyProvider`. Default: none."""
        value = self._raw("EXTRA_KEY_PROVIDERS", {})
        if not isinstance(value, dict) or not all(
            isinstance(part, str) and part for pair in value.items() for part in pair
        ):
            raise ConfigurationError("EXTRA_KEY_PROVIDERS must map URL schemes to dotted paths.")
        return value

    @setting
    def MAX_VALUE_BYTES(self) -> int:
        """The longest value, in UTF-8 bytes. Default: 1 MiB; at most 32 MiB."""
        return self._whole("MAX_VALUE_BYTES", 1024 * 1024, least=1, most=32 * 1024 * 1024)

    @setting
    def BATCH_MAX_BYTES(self) -> int:
        """What the values of one batch of reads may hold together, in bytes. Default: 16 MiB."""
        return self._whole("BATCH_MAX_BYTES", 16 * 1024 * 1024, least=1, most=2**30)

    @setting
    def BATCH_MEMORY_BYTES(self) -> int:
        """What the batches of a process may hold at once, in bytes of values and bodies. Others wait.
        Default: 64 MiB."""
        return self._whole("BATCH_MEMORY_BYTES", 64 * 1024 * 1024, least=1, most=2**36)

    @setting
    def USER_TOKEN_TTL(self) -> int:
        """Lifetime of a person's token, in seconds. Default: 900."""
        return self._whole("USER_TOKEN_TTL", 900, least=1, most=86_400)

    @setting
    def USER_SESSION_TTL(self) -> int:
        """How long refresh tokens go on after a person's sign-in, in seconds. Default and most: 43200."""
        return self._whole("USER_SESSION_TTL", 43_200, least=1, most=43_200)

    @setting
    def SECRET_TYPES(self) -> tuple[str, ...]:
        """The eight types of the contract, then those a deployment adds in EXTRA_SECRET_TYPES."""
        return CONTRACT_TYPES + self._strings("EXTRA_SECRET_TYPES")

    @setting
    def DELETED_RETENTION_DAYS(self) -> int:
        """How long a deleted secret or vault can come back, in days. Default: 30."""
        return self._whole("DELETED_RETENTION_DAYS", 30, least=0, most=3650)

    @setting
    def MAX_VERSIONS(self) -> int:
        """How many versions of a secret are kept; the oldest are destroyed. 0 (default): all."""
        return self._whole("MAX_VERSIONS", 0, least=0, most=1_000_000)

    @setting
    def TRUSTED_PROXIES(self) -> tuple[Network, ...]:
        """Networks (CIDR) of proxies whose X-Forwarded-For counts. Default: none."""
        try:
            return tuple(parse_network(each) for each in self._strings("TRUSTED_PROXIES"))
        except ValueError:
            raise ConfigurationError("TRUSTED_PROXIES must be a list of networks (CIDR).") from None

    @setting
    def PASSWORD_SIGN_IN(self) -> bool:
        """Whether people sign in with passwords. The project's authentication backend refuses them where
        not; the app then says so. Default: yes."""
        value = self._raw("PASSWORD_SIGN_IN", True)
        if type(value) is not bool:
            raise ConfigurationError("PASSWORD_SIGN_IN must be True or False.")
        return value

    @setting
    def HEADER_NAMES_KEPT_APART(self) -> bool:
        """Whether the WSGI server drops header names with an underscore, as gunicorn and waitress do, so
        that X-Forwarded-For can be believed. `vaultsite.asgi` needs it not. Default: no."""
        value = self._raw("HEADER_NAMES_KEPT_APART", False)
        if type(value) is not bool:
            raise ConfigurationError("HEADER_NAMES_KEPT_APART must be True or False.")
        return value

    @setting
    def RATE_LIMIT(self) -> str:
        """Requests of one principal, such as `6000/minute` (the default); empty: no limit."""
        return self._rate("RATE_LIMIT", "6000/minute")

    @setting
    def SIGN_IN_RATE_LIMIT(self) -> str:
        """Attempts to sign in from one address, such as `120/minute` (the default); empty: no limit."""
        return self._rate("SIGN_IN_RATE_LIMIT", "120/minute")

    @setting
    def AUTH_FAILURE_RATE(self) -> str:
        """Failed attempts of one address (IPv6: of one /64) that are an event each, such as `60/minute`
        (the default). Beyond it they are refused and counted. Empty: no limit."""
        return self._rate("AUTH_FAILURE_RATE", "60/minute")

    @setting
    def FEDERATION_ISSUERS(self) -> dict[str, str | None]:
        """Issuers of tokens for agents that may be at any address: issuer → file with the certificate
        authorities to trust there, None for the system's. Given as a list of `issuer` or `issuer|file`.
        Default: none; others are asked at public addresses, on port 443."""
        issuers: dict[str, str | None] = {}
        for each in self._strings("FEDERATION_ISSUERS"):
            issuer, _, ca_file = each.partition("|")
            try:
                parse_url(issuer, any_port=True)
            except OutboundError:
                message = "FEDERATION_ISSUERS must be a list of https URLs, or URL|CA file."
                raise ConfigurationError(message) from None
            issuers[issuer] = ca_file or None
        return issuers

    @setting
    def RATE_LIMIT_STORAGE(self) -> str:
        """Where requests are counted: `memory://` (each process by itself, the default) or a URL of
        the library `limits`, such as `redis://host`."""
        value = self._raw("RATE_LIMIT_STORAGE", "memory://")
        if not isinstance(value, str) or "://" not in value:
            raise ConfigurationError("RATE_LIMIT_STORAGE must be a URL.")
        return value

    @setting
    def AUDIT_LOG(self) -> bool:
        """Whether committed events are logged too, as JSON by `secrets_app.audit`. Default: no."""
        value = self._raw("AUDIT_LOG", False)
        if type(value) is not bool:
            raise ConfigurationError("AUDIT_LOG must be True or False.")
        return value

    @setting
    def AUDIT_SEAL_ALARM(self) -> int:
        """How old an unsealed event may get before health is degraded, in seconds. 0: any age.
        Default: 300."""
        return self._whole("AUDIT_SEAL_ALARM", 300, least=0, most=604_800)

    @setting
    def ADMIN_BASE(self) -> str:
        """Dotted path of the ModelAdmin that the app's admin is built on, for projects with a theme.
        Default: Django's own."""
        value = self._raw("ADMIN_BASE", "django.contrib.admin.ModelAdmin")
        if not isinstance(value, str) or "." not in value:
            raise ConfigurationError("ADMIN_BASE must be the dotted path of a ModelAdmin.")
        return value

    @setting
    def END_WEB_SESSIONS(self) -> str:
        """Dotted path of a function of the project that takes a user and ends their web sessions. It is
        called in the transaction that ends all their tokens. Default: none, nothing is called."""
        value = self._raw("END_WEB_SESSIONS", "")
        if not isinstance(value, str) or (value and "." not in value):
            raise ConfigurationError("END_WEB_SESSIONS must be the dotted path of a function.")
        return value

    @setting
    def DEVICE_PAGE(self) -> str:
        """Path of the page where people approve devices. Default: /device."""
        value = self._raw("DEVICE_PAGE", "/device")
        if not isinstance(value, str) or not value.startswith("/") or value.startswith("//"):
            raise ConfigurationError("DEVICE_PAGE must be a path that begins with a slash.")
        return value

    @setting
    def SECOND_FACTORS(self) -> str:
        """Dotted path of the class that keeps people's second factors and passkeys
        (`services.identity.factors.SecondFactors`). Default: none, nobody has any."""
        value = self._raw("SECOND_FACTORS", "")
        if not isinstance(value, str) or (value and "." not in value):
            raise ConfigurationError("SECOND_FACTORS must be the dotted path of a class.")
        return value

    _kept: tuple[Any, dict[str, Any]] = (None, {})

    def known(self) -> dict[str, Any]:
        """Return what was computed already from the current dictionary."""
        now = getattr(settings, "SECRETS_APP", None)
        seen, known = self._kept
        if now is not seen or now is None:
            known = {}
            self._kept = (now, known)
        return known

    def unknown_names(self) -> list[str]:
        """Return the keys of `SECRETS_APP` that are no settings, probably mistyped."""
        return sorted(self._all().keys() - self.NAMES)

    def _all(self) -> dict[str, Any]:
        value = getattr(settings, "SECRETS_APP", {})
        if not isinstance(value, dict):
            raise ConfigurationError("SECRETS_APP must be a dictionary.")
        return value

    def _raw(self, name: str, default: Any) -> Any:
        return self._all().get(name, default)

    def _whole(self, name: str, default: int, *, least: int, most: int) -> int:
        value = self._raw(name, default)
        if type(value) is not int or not least <= value <= most:
            raise ConfigurationError(f"{name} must be a whole number from {least} to {most}.")
        return value

    def _rate(self, name: str, default: str) -> str:
        value = self._raw(name, default)
        if not isinstance(value, str):
            raise ConfigurationError(f"{name} must be text such as 100/minute.")
        try:
            if value:
                _parse_rate(value)
        except ValueError:
            raise ConfigurationError(f"{name} must be a rate such as 100/minute.") from None
        return value

    def _strings(self, name: str) -> tuple[str, ...]:
        value = self._raw(name, ())
        if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) and v for v in value):
            raise ConfigurationError(f"{name} must be a list of non-empty strings.")
        return tuple(value)


_parse_rate = lru_cache(parse)

app_settings = AppSettings()

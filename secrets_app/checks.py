"""Check for `manage.py check` what cannot work, before the first request, with advice what to do."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import FieldDoesNotExist
from django.db import DatabaseError, connections, router
from django.utils.module_loading import import_string

from secrets_app.conf import AppSettings, app_settings, setting
from secrets_app.crypto.keyring import Keyring
from secrets_app.errors import ConfigurationError, OpenError, ProviderError, UnknownRootKey
from secrets_app.keys import keyring
from secrets_app.services.identity import key_set

TAG = "secrets_app"


@register(TAG)
def check_settings(**_: Any) -> list[CheckMessage]:
    """E001: a setting has the wrong type or is out of range. E002: a name is no setting."""
    problems: list[CheckMessage] = []
    for name in dir(AppSettings):
        if name.isupper() and isinstance(getattr(AppSettings, name), setting):
            try:
                getattr(app_settings, name)
            except ConfigurationError as error:
                hint = f"Correct SECRETS_APP[{name!r}] in the settings or the variable {name}."
                problems.append(Error(error.detail, hint=hint, id="secrets_app.E001"))
    for name in app_settings.unknown_names():
        hint = f"Known are: {', '.join(sorted(AppSettings.NAMES))}."
        message = f"SECRETS_APP has an unknown setting {name!r}."
        problems.append(Error(message, hint=hint, id="secrets_app.E002"))
    return problems


@register(TAG)
def check_root_keys(**_: Any) -> list[CheckMessage]:
    """E003: the root key is missing or malformed."""
    try:
        keyring()
    except ConfigurationError as error:
        hint = "See docs/keys.md."
        return [Error(error.detail, hint=hint, id="secrets_app.E003")]
    return []


@register(TAG)
def check_signing_keys(**_: Any) -> list[CheckMessage]:
    """E004: tokens cannot be signed."""
    try:
        key_set()
    except ConfigurationError as error:
        hint = "See docs/operations.md, «The token signing key»."
        return [Error(error.detail, hint=hint, id="secrets_app.E004")]
    return []


@register(TAG)
def check_host_project(**_: Any) -> list[CheckMessage]:
    """E005: ATOMIC_REQUESTS is on. E006: the user model cannot be deactivated. W007: DEBUG is on."""
    problems: list[CheckMessage] = []
    if any(database.get("ATOMIC_REQUESTS") for database in settings.DATABASES.values()):
        problems.append(
            Error(
                "ATOMIC_REQUESTS is on: a refused request would roll its audit event back.",
                hint="Remove ATOMIC_REQUESTS from DATABASES.",
                id="secrets_app.E005",
            )
        )
    try:
        get_user_model()._meta.get_field("is_active")
    except FieldDoesNotExist:
        problems.append(
            Error(
                "AUTH_USER_MODEL has no field `is_active`, so nobody could be locked out.",
                hint="Add `is_active = models.BooleanField(default=True)` to the user model.",
                id="secrets_app.E006",
            )
        )
    if settings.DEBUG:
        problems.append(
            checks.Warning(
                "DEBUG is on: error pages outside the API show local variables.",
                hint="Never set DEBUG where real secrets are kept.",
                id="secrets_app.W007",
            )
        )
    return problems


@register(TAG)
def check_parts_of_the_project(**_: Any) -> list[CheckMessage]:
    """E010: what the project names to answer for it is not there, and would fail at somebody's sign-in."""
    problems: list[CheckMessage] = []
    for name in ("SECOND_FACTORS", "END_WEB_SESSIONS"):
        try:
            path = getattr(app_settings, name)
        except ConfigurationError:
            continue  # E001 tells
        if path and not _is_callable(path):
            problems.append(
                Error(
                    f"SECRETS_APP[{name!r}] is {path!r}, and nothing that can be called is there.",
                    hint="Name a class or function by its dotted path, or leave the setting out.",
                    id="secrets_app.E010",
                )
            )
    return problems


def _is_callable(path: str) -> bool:
    try:
        return callable(import_string(path))
    except ImportError:
        return False


@register(TAG)
def check_forwarding(**_: Any) -> list[CheckMessage]:
    """W009: proxies are trusted, and nothing says that the server keeps header names apart."""
    try:
        is_trusted = bool(app_settings.TRUSTED_PROXIES or settings.SECURE_PROXY_SSL_HEADER)
        if not is_trusted or app_settings.HEADER_NAMES_KEPT_APART:
            return []
    except ConfigurationError:
        return []  # E001 tells
    if getattr(settings, "ASGI_APPLICATION", None):
        return []  # it marks its requests; those of a WSGI server are not believed
    return [
        checks.Warning(
            "Proxies are trusted, but their headers do not count: WSGI cannot tell X-Forwarded-For from"
            " X_Forwarded_For, which anybody can send.",
            hint="Set HEADER_NAMES_KEPT_APART in SECRETS_APP where the server drops names with an"
            " underscore, as gunicorn and waitress do.",
            id="secrets_app.W009",
        )
    ]


@register(TAG, Tags.database)
def check_stored_keys(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """E008: the root keys do not open the stored vault keys. Run with `check --database default`.

    Says nothing when the database or key provider cannot be reached, or before the first migration.
    """
    from secrets_app.models import VaultKey

    alias = router.db_for_read(VaultKey)
    if not databases or alias not in databases:
        return []
    try:
        ring = keyring()
        if VaultKey._meta.db_table not in connections[alias].introspection.table_names():
            return []
        return _unopenable(ring)
    except (ConfigurationError, DatabaseError):
        return []


def _unopenable(ring: Keyring) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    for sample in _samples():
        try:
            ring.check(sample.wrapped_key())
        except OpenError:
            detail = f"The root key {sample.root_key_id} does not open what is wrapped under it."
        except UnknownRootKey as error:
            detail = error.detail
        except ProviderError:
            continue  # it does not answer now; the health check reports that
        else:
            continue
        problems.append(
            Error(
                detail,
                hint="Restore the root key that belongs to this database from your backup, and name"
                " it in ROOT_KEY_URLS. A new key cannot open what is stored.",
                id="secrets_app.E008",
            )
        )
    return problems


def _samples() -> Iterator[Any]:
    """Yield one stored key of each root key, which is enough to test it."""
    from secrets_app.models import AuditKey, VaultKey

    living = VaultKey.objects.exclude(state=VaultKey.State.DESTROYED)
    sampled = set()
    for root_key_id in living.values_list("root_key_id", flat=True).distinct():
        yield living.filter(root_key_id=root_key_id).order_by("created_at", "id")[0]
        sampled.add(root_key_id)
    yield from AuditKey.objects.exclude(root_key_id__in=sampled).order_by("number")

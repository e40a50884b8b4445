"""Report the health of key providers. Anybody who watches the service may ask, so answers are cached
briefly.
"""

import logging
import threading
import time

from django.core.signals import setting_changed

from secrets_app.crypto.keyring import ProviderHealth
from secrets_app.errors import ConfigurationError
from secrets_app.keys import keyring

logger = logging.getLogger("secrets_app.keys")

KEPT_FOR_S = 5.0

_asking = threading.Lock()
_kept: tuple[float, str] | None = None


def provider_status() -> str:
    """Return `ok`, `degraded` (a provider of older root keys fails) or `unavailable` (the active one
    fails).

    Providers are asked by one thread and at most every five seconds; other threads get the last answer
    meanwhile.
    """
    global _kept
    kept = _kept
    if kept is not None and time.monotonic() - kept[0] <= KEPT_FOR_S:
        return kept[1]
    if not _asking.acquire(blocking=kept is None):
        return kept[1] if kept is not None else "unavailable"
    try:
        status = _ask()
        if kept is None or kept[1] != status:
            level = logging.INFO if status == "ok" else logging.ERROR
            logger.log(level, "Key providers: %s", status)
        _kept = (time.monotonic(), status)
        return status
    finally:
        _asking.release()


def providers() -> list[ProviderHealth]:
    """Return how each provider answers now, the active one first. Raises ConfigurationError."""
    return keyring().health()


def _ask() -> str:
    try:
        active, *older = providers()
    except ConfigurationError:
        return "unavailable"
    for each in (active, *older):
        if each.error is not None:
            logger.error("%s: %s", ", ".join(sorted(each.key_ids)), each.error.detail)
    if active.error is not None:
        return "unavailable"
    return "degraded" if any(each.error for each in older) else "ok"


def _forget(*, setting: str, **_: object) -> None:
    global _kept
    if setting == "SECRETS_APP":
        _kept = None


setting_changed.connect(_forget, dispatch_uid="secrets_app.services.keys.health")

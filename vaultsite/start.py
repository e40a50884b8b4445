"""What comes before the first request, whatever server loads the application: it refuses to start on a
setup that cannot work."""

import gc
import os
import sys
from contextlib import suppress
from typing import Any

import django
from django.core import checks
from django.db import DatabaseError


def start() -> Any:
    """Set Django up, check the setup and give the WSGI handler. Raises SystemExit on a broken one."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vaultsite.settings")
    django.setup(set_prefix=False)
    # Only from here on: these need Django to be set up.
    from django.conf import settings

    from secrets_app.errors import CryptoError
    from secrets_app.services.sealing.audit_keys import prepare_audit_key
    from vaultsite.handler import Handler
    from vaultsite.supervised import end_with_supervisor
    from vaultsite.tracing import start_tracing

    handler = Handler()
    problems = [
        message
        for message in checks.run_checks(tags=["secrets_app"], databases=["default"])
        if message.is_serious(checks.ERROR)
    ]
    if problems:
        for problem in problems:
            sys.stderr.write(f"vaultsite cannot start: {problem}\n")
        raise SystemExit(1)
    end_with_supervisor()
    with suppress(CryptoError, DatabaseError):  # away: then the first event asks again
        prepare_audit_key()
    if settings.TRACING:
        start_tracing()
    return handler


def keep_what_is_loaded() -> None:
    """Tell the collector that what is loaded by now stays: it need not go through it again and again. What
    requests leave behind is little and young."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)

"""The application as a WSGI server loads it: refuses to start on a setup that cannot work."""

import gc
import os
import sys
from contextlib import suppress

import django
from django.core import checks
from django.db import DatabaseError

from vaultsite.handler import Handler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vaultsite.settings")

django.setup(set_prefix=False)
_django = Handler()

_problems = [
    message
    for message in checks.run_checks(tags=["secrets_app"], databases=["default"])
    if message.is_serious(checks.ERROR)
]
if _problems:
    for _problem in _problems:
        sys.stderr.write(f"vaultsite cannot start: {_problem}\n")
    raise SystemExit(1)

from django.conf import settings  # noqa: E402  (needs Django to be set up)

from secrets_app.api.json import max_body_bytes  # noqa: E402
from secrets_app.errors import CryptoError  # noqa: E402
from secrets_app.services.sealing.audit_keys import prepare_audit_key  # noqa: E402
from vaultsite.chunked import WithChunkedBodies  # noqa: E402
from vaultsite.content_type import WithoutCharset  # noqa: E402
from vaultsite.supervised import end_with_supervisor  # noqa: E402
from vaultsite.tracing import start_tracing  # noqa: E402

end_with_supervisor()
with suppress(CryptoError, DatabaseError):  # away: then the first event asks again
    prepare_audit_key()
if settings.TRACING:
    start_tracing()

application = WithoutCharset(WithChunkedBodies(_django, limit=max_body_bytes() + 1))

# What is loaded by now stays: the collector need not go through it again and again. What requests leave
# behind is little and young.
gc.collect()
gc.freeze()
gc.set_threshold(10_000, 20, 20)

"""The application as granian loads it (`vaultsite/serving.py`). Slow clients take no thread of it, and
header names are kept apart."""

import os

from vaultsite.start import keep_what_is_loaded, start

_django = start()

from secrets_app.api.json import max_body_bytes  # noqa: E402  (needs Django to be set up)
from vaultsite.server.application import Application  # noqa: E402

THREADS = int(os.environ.get("SERVER_THREADS") or 32)

application = Application(_django, threads=THREADS, longest=max_body_bytes() + 1)
keep_what_is_loaded()

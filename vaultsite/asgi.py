"""The application as granian loads it (`vaultsite/serving.py`). Slow clients take no thread of it, and
header names are kept apart."""

from vaultsite.start import keep_what_is_loaded, start

_django = start()

from django.conf import settings  # noqa: E402  (these need Django to be set up)

from secrets_app.http.bodies import max_body_bytes  # noqa: E402
from vaultsite.server.application import Application  # noqa: E402

application = Application(_django, threads=settings.SERVER_THREADS, longest=max_body_bytes() + 1)
keep_what_is_loaded()

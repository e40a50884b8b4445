"""The application for a WSGI server, such as a host project's. `vaultsite/asgi.py` is what we serve.

WSGI spells `X_Forwarded_For` like `X-Forwarded-For`. Unless the operator says that the server keeps them
apart (HEADER_NAMES_KEPT_APART), no forwarding header is believed.
"""

from vaultsite.start import keep_what_is_loaded, start

_django = start()

from secrets_app.http.bodies import max_body_bytes  # noqa: E402  (needs Django to be set up)
from vaultsite.chunked import WithChunkedBodies  # noqa: E402
from vaultsite.content_type import WithoutCharset  # noqa: E402
from vaultsite.forwarding import WithoutForwarding  # noqa: E402

application = WithoutForwarding(
    WithoutCharset(WithChunkedBodies(_django, limit=max_body_bytes() + 1))
)
keep_what_is_loaded()

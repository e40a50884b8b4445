"""The production settings on throw-away keys. SQLite, unless TEST_DATABASE_URL names another."""

import os
import tempfile
from pathlib import Path

HERE = Path(tempfile.mkdtemp(prefix="vaultsite-test-"))

os.environ["VAULTSITE_HOME"] = str(HERE)
os.environ["ALLOWED_HOSTS"] = "testserver,127.0.0.1,localhost"
os.environ.setdefault("SECRET_KEY", "only-for-tests-" + "x" * 50)
os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL") or f"sqlite:///{HERE}/db.sqlite3"

from vaultsite import home  # noqa: E402

home.create()

from vaultsite.settings import *  # noqa: E402, F403
from vaultsite.settings import DATABASES, SECRETS_APP  # noqa: E402

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, since threads share it in tests of concurrency.
    DATABASES["default"]["TEST"] = {"NAME": str(HERE / "test.sqlite3")}

# The hash that production uses is tested once, by name; here it would only cost time.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
SECURE_SSL_REDIRECT = False
# Static files are looked up when one is asked for, and not all of them by each new test client.
WHITENOISE_AUTOREFRESH = True
# The tests sign in far more often than anybody; limits are tested where they are set.
SECRETS_APP = SECRETS_APP | {
    "RATE_LIMIT": "",
    "SIGN_IN_RATE_LIMIT": "",
    "AUTH_FAILURE_RATE": "",
    # The test client hands on each header under the name it was given.
    "HEADER_NAMES_KEPT_APART": True,
}

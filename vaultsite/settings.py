"""Settings, from the environment (django-environ). The defaults are those of production.

`VAULTSITE_HOME/vaultsite.env` is read first where it exists; the environment itself wins over it.
docs/operations.md lists every variable.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from secrets_app.networks import parse_network
from vaultsite import home
from vaultsite.console.theme import UNFOLD as UNFOLD

env = environ.Env()
HOME = home.path()
if (HOME / "vaultsite.env").is_file():
    env.read_env(str(HOME / "vaultsite.env"))


def _whole(name: str, default: int) -> int:
    try:
        return int(env.str(name, default=str(default)))
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number.") from None


# --- The host it runs on -----------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "SECRET_KEY is not set. To try Vaultsite out, `make run` makes one in var/. In production"
        " set it in the environment, for example to the output of `openssl rand -base64 48`."
    )
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Plain HTTP, for one machine that talks to itself. Everything below follows from it.
INSECURE_HTTP = env.bool("INSECURE_HTTP", default=False)

SECURE_SSL_REDIRECT = not INSECURE_HTTP
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not INSECURE_HTTP
# Whoever probes comes by plain HTTP, from the same machine or network.
SECURE_REDIRECT_EXEMPT = [r"^(livez|readyz)\Z"]
SECURE_HSTS_SECONDS = 0 if INSECURE_HTTP else _whole("SECURE_HSTS_SECONDS", 31_536_000)
# Both bind hosts that are not ours to speak for, and the second for years: the operator says so.
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_PRELOAD", default=False)
# W005 and W021 ask for the two.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
if env.bool("TRUST_X_FORWARDED_PROTO", default=False):
    # Only behind a proxy that sets this header itself on every request.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_AGE = 8 * 60 * 60
X_FRAME_OPTIONS = "DENY"
# Not no-referrer: browsers then send `Origin: null` with forms, which is refused as forged.
SECURE_REFERRER_POLICY = "same-origin"
# Nothing from elsewhere, no script, handler or style within a page.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
# The admin's Alpine.js needs unsafe-eval, and its theme and Swagger UI write styles (ADR 24).
LOOSER_CONTENT_SECURITY_POLICY = CONTENT_SECURITY_POLICY.replace(
    "script-src 'self'", "script-src 'self' 'unsafe-eval'"
).replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")

# Browsers of other origins get in only when they are named; the API takes no cookies from them.
CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/v1/"
CORS_ALLOW_HEADERS = (
    "authorization",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
)
CORS_EXPOSE_HEADERS = ("etag", "retry-after", "x-request-id")

# --- Django ------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "vaultsite.pages",
    "vaultsite.console",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
    "vaultsite.accounts",  # its templates come before the library's
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    *(["corsheaders"] if CORS_ALLOWED_ORIGINS else []),
    "secrets_app",
]
MIDDLEWARE = [
    "secrets_app.api.observe.ObserveRequests",
    "django.middleware.security.SecurityMiddleware",
    "vaultsite.middleware.ContentSecurityPolicy",
    "vaultsite.middleware.TooManyRequestsPage",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    *(["corsheaders.middleware.CorsMiddleware"] if CORS_ALLOWED_ORIGINS else []),
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "vaultsite.accounts.middleware.SecondFactorRequired",
    "vaultsite.accounts.middleware.WebSessionSeen",
]
# Of these, what requests of the API go through (`vaultsite/handler.py`).
API_MIDDLEWARE = {
    "secrets_app.api.observe.ObserveRequests",
    "django.middleware.security.SecurityMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
}
ROOT_URLCONF = "vaultsite.urls"
WSGI_APPLICATION = "vaultsite.wsgi.application"
ASGI_APPLICATION = "vaultsite.asgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
LANGUAGE_CODE = "en-us"
FORMAT_MODULE_PATH = "vaultsite.formats"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
# Static files (admin, API documentation) come straight out of the installed packages.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "vaultsite.accounts.backends.PasswordBackend",
]
# OpenID Connect providers, in the order of their buttons; OIDC_<NAME>_ISSUER and the like describe each
# (docs/people-sign-in.md). Read by `vaultsite.oidc.providers`.
OIDC_PROVIDERS = env.list("OIDC_PROVIDERS", default=[])
OIDC_VARIABLES = {name: text for name, text in env.ENVIRON.items() if name.startswith("OIDC_")}
# Where people reach this service, such as https://vault.example.com: for links that a command prints.
PUBLIC_URL = env.str("PUBLIC_URL", default="").rstrip("/")
if PUBLIC_URL and not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+", PUBLIC_URL):
    raise ImproperlyConfigured("PUBLIC_URL must be scheme and host, as https://vault.example.com.")
EMAIL_URL = env.str("EMAIL_URL", default="")
if EMAIL_URL:
    vars().update(env.email_url("EMAIL_URL"))
    EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default="vaultsite@localhost")

# People and their sign-in (django-allauth). Nobody makes an account by themselves.
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "vaultsite.accounts.adapter.AccountAdapter"
# What counts attempts here is django-axes and the API's own rates, in every process alike.
ACCOUNT_RATE_LIMITS = False
MFA_RATE_LIMITS = False
ACCOUNT_SESSION_REMEMBER = True  # as long as SESSION_COOKIE_AGE
# How long somebody may take between the password and the second factor, in seconds.
ACCOUNT_LOGIN_TIMEOUT = 300
MFA_ADAPTER = "vaultsite.accounts.mfa_adapter.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODE_DIGITS = 10
SOCIALACCOUNT_STORE_TOKENS = False
LOGIN_URL = "account_login"
# Who needs a second factor: nobody is asked (off), who wants one (optional), superusers or everybody (who
# must). Before there were pages it was the admin's, and called ADMIN_OTP.
SECOND_FACTOR = env.str("SECOND_FACTOR", default=env.str("ADMIN_OTP", default="optional"))
if SECOND_FACTOR not in ("off", "optional", "superusers", "everybody"):
    raise ImproperlyConfigured("SECOND_FACTOR must be off, optional, superusers or everybody.")

# Lockout after wrong passwords, for an account from an address: counted where every process sees it.
CACHE_URL = env.str("CACHE_URL", default="")
if CACHE_URL:
    CACHES = {"default": env.cache_url("CACHE_URL")}
_AXES_HANDLER = "cache.AxesCacheHandler" if CACHE_URL else "database.AxesDatabaseHandler"
AXES_HANDLER = f"axes.handlers.{_AXES_HANDLER}"
AXES_FAILURE_LIMIT = _whole("LOCKOUT_FAILURES", 10)
AXES_COOLOFF_TIME = timedelta(seconds=_whole("LOCKOUT_SECONDS", 900))
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_CALLABLE = "vaultsite.accounts.lockout.identity"
AXES_CLIENT_IP_CALLABLE = "vaultsite.accounts.lockout.address"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ACCESS_FAILURE_LOG = False
AXES_HTTP_RESPONSE_CODE = 429
AXES_VERBOSE = False
# Its pages would change counts without an event; `manage.py axes_reset` ends lockouts.
AXES_ENABLE_ADMIN = False
PASSWORD_HASHERS = [
    "vaultsite.accounts.hashing.BoundedArgon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]


def _database(config: dict[str, Any]) -> dict[str, Any]:
    # Opening a connection costs more than what a request does with it, on SQLite too.
    config["CONN_MAX_AGE"] = _whole("CONN_MAX_AGE", 600)
    if config["ENGINE"].endswith("sqlite3"):
        config.setdefault("OPTIONS", {}).update(
            # A writer takes the lock when its transaction begins and never gives up midway.
            transaction_mode="IMMEDIATE",
            # FULL: a commit that was answered is on the disk, as on PostgreSQL.
            init_command="PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
            timeout=20,
        )
    elif config["ENGINE"].endswith("postgresql"):
        config["ENGINE"] = "vaultsite.postgresql"
        config["CONN_HEALTH_CHECKS"] = True
        # Statements are parsed and planned once for each connection, not each time.
        config.setdefault("OPTIONS", {}).update(server_side_binding=True, prepare_threshold=2)
        if env.bool("DATABASE_POOLER", default=False):
            # A pooler like pgbouncer gives each transaction another connection of the server:
            # nothing may be left on one for the next statement to find.
            config["DISABLE_SERVER_SIDE_CURSORS"] = True
            config["OPTIONS"]["prepare_threshold"] = None
    else:
        raise ImproperlyConfigured("DATABASE_URL must name PostgreSQL or SQLite.")
    return config


DATABASES = {
    "default": _database(env.db_url("DATABASE_URL", default=f"sqlite:///{HOME}/db.sqlite3"))
}

# --- The app -----------------------------------------------------------------------------------

# Who may read /metrics: with this token, or from these networks. Both empty: nobody.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
try:
    METRICS_NETWORKS = [parse_network(each) for each in env.list("METRICS_NETWORKS", default=[])]
except ValueError:
    raise ImproperlyConfigured("METRICS_NETWORKS must be a list of networks (CIDR).") from None
TRACING = env.bool("TRACING", default=False)
if not Path(env.str("PROMETHEUS_MULTIPROC_DIR", default=".")).is_dir():
    raise ImproperlyConfigured(
        "PROMETHEUS_MULTIPROC_DIR must name a folder that is there, empty when the service starts."
    )
# How many threads of each worker run Django (`vaultsite/asgi.py`).
SERVER_THREADS = _whole("SERVER_THREADS", 32)
if not 1 <= SERVER_THREADS <= 1000:
    raise ImproperlyConfigured("SERVER_THREADS must be a whole number from 1 to 1000.")
# How often the server that `quickstart --serve` starts has its log sealed, in seconds. 0: not at all.
AUDIT_SEAL_EVERY = _whole("AUDIT_SEAL_EVERY", 10)

# Whether the API of HashiCorp Vault and OpenBao (KV version 2) is answered too, below /vault.
VAULT_DOOR = env.bool("VAULT_DOOR", default=True)

SECRETS_APP = {
    "ROOT_KEY_URLS": env.list("ROOT_KEY_URLS", default=[f"file:{HOME}/root.key"]),
    "JWT_KEY_FILE": env.str("JWT_KEY_FILE", default=f"{HOME}/jwt.pem"),
    "JWT_ISSUER": env.str("JWT_ISSUER", default="vaultsite"),
    "KEK_CACHE_TTL": _whole("KEK_CACHE_TTL", 300),
    "KEY_PROVIDER_TIMEOUT": _whole("KEY_PROVIDER_TIMEOUT", 5),
    "MAX_VALUE_BYTES": _whole("MAX_VALUE_BYTES", 1024 * 1024),
    "BATCH_MAX_BYTES": _whole("BATCH_MAX_BYTES", 16 * 1024 * 1024),
    "BATCH_MEMORY_BYTES": _whole("BATCH_MEMORY_BYTES", 64 * 1024 * 1024),
    # Off: nobody signs in with a password, but for one superuser by `manage.py break_glass`.
    "PASSWORD_SIGN_IN": env.bool("PASSWORD_SIGN_IN", default=True),
    "USER_TOKEN_TTL": _whole("USER_TOKEN_TTL", 900),
    "USER_SESSION_TTL": _whole("USER_SESSION_TTL", 43_200),
    "DELETED_RETENTION_DAYS": _whole("DELETED_RETENTION_DAYS", 30),
    "MAX_VERSIONS": _whole("MAX_VERSIONS", 0),
    "TRUSTED_PROXIES": env.list("TRUSTED_PROXIES", default=[]),
    "HEADER_NAMES_KEPT_APART": env.bool("HEADER_NAMES_KEPT_APART", default=False),
    "RATE_LIMIT": env.str("RATE_LIMIT", default="6000/minute"),
    "SIGN_IN_RATE_LIMIT": env.str("SIGN_IN_RATE_LIMIT", default="120/minute"),
    "AUTH_FAILURE_RATE": env.str("AUTH_FAILURE_RATE", default="60/minute"),
    "FEDERATION_ISSUERS": env.list("FEDERATION_ISSUERS", default=[]),
    "RATE_LIMIT_STORAGE": CACHE_URL if CACHE_URL.startswith("redis") else "memory://",
    "AUDIT_LOG": env.bool("AUDIT_LOG", default=False),
    "AUDIT_SEAL_ALARM": _whole("AUDIT_SEAL_ALARM", 300),
    "ADMIN_BASE": "unfold.admin.ModelAdmin",
    "SECOND_FACTORS": "vaultsite.accounts.for_api.Factors",
    "END_WEB_SESSIONS": "vaultsite.accounts.web_sessions.end_web_sessions",
    "EXTRA_SECRET_TYPES": env.list("EXTRA_SECRET_TYPES", default=[]),
}
REST_FRAMEWORK = {
    # The app's views bring their own; a view that forgets to is shut, and takes no password.
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Vaultsite",
    "DESCRIPTION": "A self-hosted secrets manager.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
}

# --- Logs --------------------------------------------------------------------------------------

LOG_FORMAT = env.str("LOG_FORMAT", default="json")
if LOG_FORMAT not in ("json", "line"):
    raise ImproperlyConfigured("LOG_FORMAT must be json or line.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "vaultsite.logs.JsonLines"},
        "line": {"()": "vaultsite.logs.PlainLines"},
        "message": {"format": "{message}", "style": "{"},
    },
    "filters": {"without_path": {"()": "vaultsite.logs.WithoutPath"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": LOG_FORMAT,
            "filters": ["without_path"],
        },
        "stdout": {
            "class": "logging.StreamHandler",
            "formatter": "message",
            "stream": "ext://sys.stdout",
        },
    },
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO").upper()},
    # Its warnings hold request paths, and paths name secrets. API views log their own errors.
    "loggers": {
        # Events of the audit log, one JSON object a line (AUDIT_LOG).
        "secrets_app.audit": {"handlers": ["stdout"], "level": "INFO", "propagate": False},
        "django.request": {"level": "ERROR"},
        # Would log the URLs that import_secrets and key providers ask for.
        "urllib3": {"level": "INFO"},
        # Would log the id of each passkey that is made or used.
        "fido2": {"level": "WARNING"},
        # Would log whatever host name a stranger sends, with a traceback.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}

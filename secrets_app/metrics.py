"""Count and time events for Prometheus, as far as the project around the app exports them.

Labels come from code alone (names of routes, actions, classes of errors). So they are few, and none is a
path, a name or an address. Children are looked up once, since `labels` is slow.
"""

from functools import cache

from prometheus_client import Counter, Histogram

_REQUEST_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_PROVIDER_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

AUDIT_WRITE_FAILURES = Counter(
    "vaultsite_audit_write_failures",
    "Audit events that could not be written; what they would have recorded was refused.",
)

_REQUESTS = Counter("vaultsite_requests", "Answers.", ["route", "method", "status"])
_REQUEST_SECONDS = Histogram(
    "vaultsite_request_duration_seconds",
    "From the first middleware to the answer.",
    ["route", "method"],
    buckets=_REQUEST_BUCKETS_S,
)
_POLICY_DENIALS = Counter("vaultsite_policy_denials", "What callers were denied.", ["action"])
_AUTH_FAILURES = Counter(
    "vaultsite_auth_failures",
    "Credentials that were refused, those without an event too.",
    ["method"],
)
_PROVIDER_SECONDS = Histogram(
    "vaultsite_provider_duration_seconds",
    "Calls of key providers, the failed ones too.",
    ["scheme", "operation"],
    buckets=_PROVIDER_BUCKETS_S,
)
_PROVIDER_ERRORS = Counter(
    "vaultsite_provider_errors",
    "Calls of key providers that failed.",
    ["scheme", "operation", "error"],
)
_KEK_CACHE = Counter("vaultsite_kek_cache", "Vault keys looked for in memory.", ["result"])
KEK_CACHE_HITS = _KEK_CACHE.labels("hit")
KEK_CACHE_MISSES = _KEK_CACHE.labels("miss")


@cache
def answers(route: str, method: str, status: int) -> Counter:
    return _REQUESTS.labels(route, method, status)


@cache
def request_seconds(route: str, method: str) -> Histogram:
    return _REQUEST_SECONDS.labels(route, method)


@cache
def denials(action: str) -> Counter:
    return _POLICY_DENIALS.labels(action)


@cache
def auth_failures(method: str) -> Counter:
    return _AUTH_FAILURES.labels(method)


@cache
def provider_seconds(scheme: str, operation: str) -> Histogram:
    return _PROVIDER_SECONDS.labels(scheme, operation)


@cache
def provider_errors(scheme: str, operation: str, error: str) -> Counter:
    return _PROVIDER_ERRORS.labels(scheme, operation, error)

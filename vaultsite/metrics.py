"""Serve `/metrics` to Prometheus.

It answers whoever sends METRICS_TOKEN as a Bearer or comes from METRICS_NETWORKS. For anybody else it
does not exist.
"""

import hmac
import os
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from secrets_app.services.access import client_address
from secrets_app.services.audit import seal_lag
from secrets_app.services.operations import count_secrets_by_state

_COUNTING_MS = 5_000
_COUNTED_EVERY_S = 15.0
# Counting looks at every secret, so it may use at most a twentieth of one connection's time.
_PAUSE = 20


class AuditLag(Collector):
    """Seal lag, read from the database at each scrape; absent while the database does not answer."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            lag = seal_lag()
        except DatabaseError:
            return
        yield GaugeMetricFamily(
            "vaultsite_audit_seal_lag_seconds", "The age of the oldest unsealed event.", value=lag
        )


class SecretStates(Collector):
    """Secrets by state, counted at most every 15 seconds, and less often if it takes long.

    Absent if it takes too long.
    """

    def __init__(self) -> None:
        self._counting = threading.Lock()
        self._counts: dict[str, int] = {}
        self._due = 0.0

    def collect(self) -> Iterator[GaugeMetricFamily]:
        if time.monotonic() >= self._due and self._counting.acquire(blocking=False):
            try:
                self._count()
            finally:
                self._counting.release()
        if self._counts:
            family = GaugeMetricFamily(
                "vaultsite_secrets",
                "Secrets by the state of their current version.",
                labels=["state"],
            )
            for state, number in self._counts.items():
                family.add_metric([state], number)
            yield family

    def forget(self) -> None:
        """Count again at the next scrape."""
        self._due = 0.0

    def _count(self) -> None:
        started = time.monotonic()
        try:
            self._counts = count_secrets_by_state(within_ms=_COUNTING_MS)
        except DatabaseError:
            self._counts = {}
        ended = time.monotonic()
        self._due = ended + max(_COUNTED_EVERY_S, _PAUSE * (ended - started))


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    if not _has_token(request) and not _is_near(request):
        return HttpResponseNotFound()
    return HttpResponse(
        generate_latest(_processes()) + generate_latest(_database),
        content_type=CONTENT_TYPE_LATEST,
    )


def _has_token(request: HttpRequest) -> bool:
    sent = request.headers.get("Authorization", "")
    wanted = f"Bearer {settings.METRICS_TOKEN}"
    return bool(settings.METRICS_TOKEN) and hmac.compare_digest(sent.encode(), wanted.encode())


def _is_near(request: HttpRequest) -> bool:
    address = client_address(request) if settings.METRICS_NETWORKS else None
    return address is not None and any(
        ip_address(address) in network for network in settings.METRICS_NETWORKS
    )


def _processes() -> CollectorRegistry:
    """Return the counters of this process, or of all that share PROMETHEUS_MULTIPROC_DIR."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


secret_states = SecretStates()
_database = CollectorRegistry()
_database.register(AuditLag())
_database.register(secret_states)

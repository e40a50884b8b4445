"""`/metrics` for Prometheus: shut unless METRICS_TOKEN is set, and then for who sends it as a Bearer."""

import hmac
import os
from collections.abc import Iterator

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from secrets_app.services.audit.health import seal_lag


class AuditLag(Collector):
    """Read from the database when it is asked for; absent while there is none."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            lag = seal_lag()
        except DatabaseError:
            return
        yield GaugeMetricFamily(
            "vaultsite_audit_seal_lag_seconds", "The age of the oldest unsealed event.", value=lag
        )


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    sent = request.headers.get("Authorization", "")
    wanted = f"Bearer {settings.METRICS_TOKEN}"
    if not settings.METRICS_TOKEN or not hmac.compare_digest(sent.encode(), wanted.encode()):
        return HttpResponseNotFound()
    return HttpResponse(
        generate_latest(_processes()) + generate_latest(_database),
        content_type=CONTENT_TYPE_LATEST,
    )


def _processes() -> CollectorRegistry:
    """What this process counted, or all that share PROMETHEUS_MULTIPROC_DIR."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


_database = CollectorRegistry()
_database.register(AuditLag())

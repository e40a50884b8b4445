"""Switch OpenTelemetry on by TRACING. The SDK is an extra (`requirements/otel.txt`).

The SDK's own variables say where spans go: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME,
OTEL_TRACES_SAMPLER.
"""

from django.core.exceptions import ImproperlyConfigured

from secrets_app.tracing import trace_with


def start_tracing() -> None:
    """Send spans by OTLP over HTTP, in batches, from a thread of their own."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ImproperlyConfigured(
            "TRACING needs libraries that are not installed. Run: pip install --require-hashes"
            " -r requirements/otel.txt"
        ) from None
    resource = Resource({SERVICE_NAME: "vaultsite"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace_with(provider.get_tracer("vaultsite"))
